"""The sandbox over HTTP, as a producer sees it."""

from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from services.sandbox.app import SANDBOX_HEADER, create_app
from services.sandbox.market.market import Market

MARKETS = "/api/v3/coins/markets"
TICKERS = "/v1/tickers"


async def markets(sandbox: aiohttp.ClientSession, **parameters: str) -> list[dict[str, Any]]:
    async with sandbox.get(MARKETS, params={"vs_currency": "usd", **parameters}) as response:
        assert response.status == 200
        rows: list[dict[str, Any]] = await response.json()
        return rows


async def test_every_answer_says_that_it_is_made_up(sandbox: aiohttp.ClientSession) -> None:
    for path in ("/health", TICKERS, MARKETS, "/api/v3/nothing", "/v1/tickers/nobody", "/nothing", "/__requests"):
        async with sandbox.get(path) as response:
            assert response.headers[SANDBOX_HEADER] == "true"
    async with sandbox.get("/health") as response:
        assert (await response.json())["sandbox"] is True


async def test_pages_hold_each_coin_once_while_time_stands_still(sandbox: aiohttp.ClientSession) -> None:
    pages = [await markets(sandbox, per_page="250", page=str(page)) for page in range(1, 5)]
    assert [len(page) for page in pages] == [250, 250, 100, 0]
    assert len({row["id"] for page in pages for row in page}) == 600
    known = [row["market_cap_rank"] for page in pages for row in page if row["market_cap_rank"]]
    assert known == sorted(known)


async def test_pages_shift_between_calls_as_ranks_change(sandbox: aiohttp.ClientSession) -> None:
    first = {row["id"] for row in await markets(sandbox, per_page="100")}
    for _ in range(100):
        async with sandbox.post("/__clock", json={"advance": 10}) as response:
            assert response.status == 200
        if {row["id"] for row in await markets(sandbox, per_page="100")} != first:
            return
    pytest.fail("the first hundred never changed")


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ({}, 100),
        ({"per_page": "999"}, 250),
        ({"per_page": "0", "page": "-1"}, 100),
        ({"page": "x"}, 100),
        ({"ids": "ethereum,bitcoin,nobody"}, 2),
        ({"per_page": "3", "page": "99999999999"}, 3),
    ],
)
async def test_parameters_of_markets(sandbox: aiohttp.ClientSession, parameters: dict[str, str], rows: int) -> None:
    assert len(await markets(sandbox, **parameters)) == rows


async def test_orders_of_markets(sandbox: aiohttp.ClientSession) -> None:
    rows = await markets(sandbox, order="id_desc", per_page="50")
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    volumes = [row["total_volume"] for row in await markets(sandbox, order="volume_asc", per_page="50")]
    assert volumes == sorted(volumes)
    assert (await markets(sandbox, order="market_cap_asc", per_page="1"))[0]["market_cap"] == 0


async def test_only_the_windows_asked_for_are_answered(sandbox: aiohttp.ClientSession) -> None:
    row = (await markets(sandbox, per_page="1", price_change_percentage="1h,7d"))[0]
    windows = [field for field in row if field.endswith("_in_currency")]
    assert windows == ["price_change_percentage_1h_in_currency", "price_change_percentage_7d_in_currency"]
    assert len((await markets(sandbox, per_page="1", sparkline="true"))[0]["sparkline_in_7d"]["price"]) == 168


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (MARKETS, 422, {"error": "Missing parameter vs_currency"}),
        (f"{MARKETS}?vs_currency=xyz", 422, {"error": "invalid vs_currency"}),
        ("/api/v3/coins/nobody", 404, {"error": "Could not find coin with the given id"}),
        ("/v1/tickers/nobody", 404, {"error": "id not found"}),
        ("/v1/nothing", 404, {"error": "id not found"}),
        ("/api/v3/ping", 200, {"gecko_says": "(V3) To the Moon!"}),
    ],
)
async def test_small_answers(sandbox: aiohttp.ClientSession, path: str, status: int, body: dict[str, str]) -> None:
    async with sandbox.get(path) as response:
        assert (response.status, await response.json()) == (status, body)


async def test_one_ticker_is_the_row_of_the_whole_answer(sandbox: aiohttp.ClientSession) -> None:
    async with sandbox.get(TICKERS, params={"quotes": "USD"}) as response:
        rows = {row["id"]: row for row in await response.json()}
    async with sandbox.get(f"{TICKERS}/btc-bitcoin") as response:
        assert await response.json() == rows["btc-bitcoin"]
    async with sandbox.get("/v1/global") as response:
        assert (await response.json())["cryptocurrencies_number"] == len(rows) == 800


async def test_the_same_step_gives_the_same_bytes_and_the_next_one_others(sandbox: aiohttp.ClientSession) -> None:
    async def body() -> bytes:
        async with sandbox.get(TICKERS) as response:
            return await response.read()

    first = await body()
    assert await body() == first
    async with sandbox.post("/__clock", json={"advance": 1}) as response:
        assert (await response.json())["step"] == 1_001
    assert await body() != first
    async with sandbox.post("/__clock", json={"step": 1_000}) as response:
        assert (await response.json())["held"] is True
    assert await body() == first
    async with sandbox.post("/__clock", json={"release": True}) as response:
        assert (await response.json())["step"] > 29_000_000


@pytest.mark.parametrize("order", ["{}", '{"advance":1,"hold":true}', "not json", '{"step":-1}', '{"jump":1}'])
async def test_a_clock_order_that_cannot_be_read_is_explained(sandbox: aiohttp.ClientSession, order: str) -> None:
    async with sandbox.post("/__clock", data=order) as response:
        assert response.status == 400
        assert (await response.json())["problems"]


async def test_what_was_asked_can_be_counted_without_the_keys(sandbox: aiohttp.ClientSession) -> None:
    headers = {"x-cg-demo-api-key": "very secret"}
    async with sandbox.get(MARKETS, params={"vs_currency": "usd", "x_cg_demo_api_key": "very secret"}, headers=headers):
        pass
    async with sandbox.get("/__requests") as response:
        text, asked = await response.text(), await response.json()
    assert asked["total"] == 1
    assert asked["requests"][0]["path"] == MARKETS
    assert asked["requests"][0]["query"]["vs_currency"] == "usd"
    assert "x-cg-demo-api-key" in asked["requests"][0]["header_names"]
    assert asked["requests"][0]["status"] == 200
    assert "very secret" not in text
    async with sandbox.delete("/__requests") as response:
        assert (await response.json())["total"] == 0


async def test_a_required_key_is_wanted_in_the_header_of_each_provider(market: Market) -> None:
    asked = [
        (f"{MARKETS}?vs_currency=usd", "x-cg-demo-api-key"),
        (f"{MARKETS}?vs_currency=usd", "x-cg-pro-api-key"),
        (TICKERS, "Authorization"),
    ]
    async with TestServer(create_app(market, required_key="let-me-in")) as server, aiohttp.ClientSession() as session:
        for path, header in asked:
            for key, status in (("let-me-in", 200), ("wrong", 401)):
                async with session.get(server.make_url(path), headers={header: key}) as response:
                    assert response.status == status
            async with session.get(server.make_url(path)) as response:
                assert response.status == 401

"""How each ordered fault reaches a client."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

MARKETS = "/api/v3/coins/markets?vs_currency=usd&per_page=100"
TICKERS = "/v1/tickers"
LISTS = [MARKETS, TICKERS]


async def order(sandbox: aiohttp.ClientSession, **fault: Any) -> None:
    async with sandbox.post("/__faults", json=fault) as response:
        assert response.status == 200


async def rows(sandbox: aiohttp.ClientSession, path: str) -> list[Any]:
    async with sandbox.get(path) as response:
        assert response.status == 200
        return list(json.loads(await response.read(), parse_int=str))


@pytest.mark.parametrize("path", LISTS)
async def test_after_its_faults_the_provider_answers_as_before(sandbox: aiohttp.ClientSession, path: str) -> None:
    before = await rows(sandbox, path)
    await order(sandbox, kind="server_error", status=503, count=2)
    statuses = []
    for _ in range(3):
        async with sandbox.get(path) as response:
            statuses.append(response.status)
    assert statuses == [503, 503, 200]
    assert await rows(sandbox, path) == before


@pytest.mark.parametrize("path", LISTS)
async def test_rate_limit_as_json_with_seconds(sandbox: aiohttp.ClientSession, path: str) -> None:
    await order(sandbox, kind="rate_limited", retry_after_seconds=7)
    async with sandbox.get(path) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "7"
        assert await response.json()


async def test_rate_limit_as_a_page_with_a_date(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="rate_limited_html", retry_after_seconds=60, retry_after_form="date")
    async with sandbox.get(MARKETS) as response:
        assert response.status == 429
        assert response.content_type == "text/html"
        until = parsedate_to_datetime(response.headers["Retry-After"])
        assert timedelta(seconds=30) < until - datetime.now(UTC) <= timedelta(seconds=60)
        assert (await response.text()).startswith("<!DOCTYPE html>")


async def test_rate_limit_without_a_word_on_when(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="rate_limited", retry_after_seconds=None)
    async with sandbox.get(MARKETS) as response:
        assert response.status == 429
        assert "Retry-After" not in response.headers


async def test_payment_required(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="payment_required", provider="coinpaprika")
    assert len(await rows(sandbox, MARKETS)) == 100
    async with sandbox.get(TICKERS) as response:
        assert response.status == 402
        assert "error" in await response.json()


@pytest.mark.parametrize("path", LISTS)
async def test_connection_reset(sandbox: aiohttp.ClientSession, path: str) -> None:
    await order(sandbox, kind="reset", count=2)  # aiohttp's client asks once more by itself
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await sandbox.get(path)
    async with sandbox.get("/__requests") as response:
        asked = (await response.json())["requests"]
    assert [(request["fault"], request["status"]) for request in asked] == [("reset", None)] * 2


@pytest.mark.parametrize("path", LISTS)
async def test_body_that_ends_too_early(sandbox: aiohttp.ClientSession, path: str) -> None:
    await order(sandbox, kind="truncated")
    async with sandbox.get(path) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("path", LISTS)
async def test_whole_answer_with_half_of_the_json(sandbox: aiohttp.ClientSession, path: str) -> None:
    await order(sandbox, kind="cut_json")
    async with sandbox.get(path) as response:
        with pytest.raises(json.JSONDecodeError):
            await response.json()


async def test_slow_answer(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="slow", seconds=30)
    with pytest.raises(TimeoutError):
        await sandbox.get(TICKERS, timeout=aiohttp.ClientTimeout(total=0.2))
    await order(sandbox, kind="slow", seconds=0.05)
    assert len(await rows(sandbox, TICKERS)) == 800


@pytest.mark.parametrize("path", LISTS)
async def test_answers_of_the_wrong_shape(sandbox: aiohttp.ClientSession, path: str) -> None:
    await order(sandbox, kind="wrong_shape")
    async with sandbox.get(path) as response:
        assert isinstance(await response.json(), dict)
    await order(sandbox, kind="rows_of_strings")
    assert all(isinstance(row, str) for row in await rows(sandbox, path))
    await order(sandbox, kind="empty")
    assert await rows(sandbox, path) == []


@pytest.mark.parametrize("path", LISTS)
async def test_half_of_the_rows_and_repeated_rows(sandbox: aiohttp.ClientSession, path: str) -> None:
    whole = await rows(sandbox, path)
    await order(sandbox, kind="half_the_rows")
    assert await rows(sandbox, path) == whole[: len(whole) // 2]
    await order(sandbox, kind="duplicate_rows")
    assert await rows(sandbox, path) == whole + whole[::10]


async def test_half_of_the_pages(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="half_the_pages", count=100)
    statuses = []
    for page in range(1, 5):
        async with sandbox.get(f"{MARKETS}&page={page}") as response:
            statuses.append(response.status)
    assert statuses == [200, 500, 200, 500]


@pytest.mark.parametrize("path", LISTS)
async def test_poison_spares_its_neighbours(sandbox: aiohttp.ClientSession, path: str) -> None:
    whole = await rows(sandbox, path)
    await order(sandbox, kind="poison", poison=["null_symbol", "nul_in_name", "null_row"])
    spoilt = await rows(sandbox, path)
    assert [row for row in spoilt if row in whole] == whole
    others = [row for row in spoilt if row not in whole]
    assert [row and row["id"] for row in others] == ["poison-null_symbol", "poison-nul_in_name", None]
    await order(sandbox, kind="poison")
    assert len(await rows(sandbox, path)) == len(whole) + 23


async def test_faults_can_be_looked_at_and_called_off(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="reset", count=5, page=2)
    async with sandbox.get("/__faults") as response:
        assert await response.json() == {"faults": [{"kind": "reset", "count": 5, "page": 2, "left": 5}]}
    async with sandbox.delete("/__faults") as response:
        assert await response.json() == {"faults": []}


async def test_what_was_asked_says_which_fault_it_met(sandbox: aiohttp.ClientSession) -> None:
    await order(sandbox, kind="payment_required")
    for _ in range(2):
        async with sandbox.get(TICKERS):
            pass
    async with sandbox.get("/__requests") as response:
        asked = (await response.json())["requests"]
    assert [(request["fault"], request["status"]) for request in asked] == [("payment_required", 402), (None, 200)]


async def test_an_order_that_cannot_be_read_orders_nothing(sandbox: aiohttp.ClientSession) -> None:
    async with sandbox.post("/__faults", data='[{"kind":"reset"},{"kind":"boom"}]') as response:
        assert response.status == 400
        assert (await response.json())["problems"][0]["where"] == "1.kind"
    assert len(await rows(sandbox, TICKERS)) == 800

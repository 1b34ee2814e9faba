"""GET /data and its neighbours."""

import asyncio
import random
from base64 import urlsafe_b64encode
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from libs.postgres.reading.acquiring import reading
from libs.process.clock import SystemClock
from services.query.holding_assets import LONGEST_SECONDS
from services.query.keys import READERS
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import LONG_AGO, AssetRow, QuoteRow, insert_assets, insert_quotes


def some_assets(count: int) -> list[AssetRow]:
    """Every third has no value to sort by; values repeat, so that the key decides."""
    rng = random.Random(7)
    assets = []
    for number in range(count):
        known = number % 3 != 0
        assets.append(
            AssetRow(
                f"a{number:04}",
                market_cap_rank=rng.randrange(1, 50) if known else None,
                price_usd=Decimal(rng.randrange(1, 20)) if known else None,
                market_cap_usd=Decimal(rng.randrange(1, 20)) if known else None,
                volume_24h_usd=Decimal(rng.randrange(1, 20)) if known else None,
                source=("coingecko", "coinpaprika")[number % 2],
                updated_at=LONG_AGO + timedelta(seconds=rng.randrange(30)),
            )
        )
    return assets


def expected_order(assets: list[AssetRow], sort: str) -> list[str]:
    column = {
        "rank": "market_cap_rank",
        "market_cap": "market_cap_usd",
        "price": "price_usd",
        "volume": "volume_24h_usd",
        "updated_at": "updated_at",
        "uid": "asset_uid",
    }[sort.removeprefix("-")]
    down = sort.startswith("-")
    valued = [asset for asset in assets if getattr(asset, column) is not None]
    without = [asset for asset in assets if getattr(asset, column) is None]
    valued.sort(key=lambda asset: (getattr(asset, column), asset.asset_uid), reverse=down)
    without.sort(key=lambda asset: asset.asset_uid, reverse=down)
    return [asset.asset_uid for asset in valued + without]


async def walk(api: Api, limit: int, **query: str) -> list[str]:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/data", params={**query, **cursor, "limit": str(limit)})).body
        assert page["data"] or not cursor, "no page leads to an empty one"
        seen += [asset["asset_uid"] for asset in page["data"]]
        if page["next_cursor"] is None:
            return seen
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("sort", ["rank", "market_cap", "price", "volume", "updated_at", "uid"])
@pytest.mark.parametrize("sign", ["", "-"])
async def test_every_order_is_the_same_by_cursor_and_by_offset_with_nulls_last(
    api: Api, database: Any, sort: str, sign: str
) -> None:
    assets = some_assets(100)
    await insert_assets(database, assets)
    expected = expected_order(assets, sign + sort)
    assert await walk(api, 7, sort=sign + sort) == expected
    assert await walk(api, 10, sort=sign + sort) == expected
    by_offset: list[str] = []
    for offset in range(0, 105, 15):
        page = (await api.get("/data", params={"sort": sign + sort, "offset": str(offset), "limit": "15"})).body
        by_offset += [asset["asset_uid"] for asset in page["data"]]
    assert by_offset == expected


@pytest.mark.parametrize("sort", ["rank", "-price", "-uid"])
async def test_a_walk_of_one_source_meets_only_its_assets(api: Api, database: Any, sort: str) -> None:
    assets = some_assets(60)
    await insert_assets(database, assets)
    mine = [asset for asset in assets if asset.source == "coinpaprika"]
    assert await walk(api, 4, sort=sort, source="coinpaprika") == expected_order(mine, sort)
    assert (await api.get("/data?source=coinpaprika&limit=1")).body["total"] == len(mine)


async def test_a_walk_misses_and_repeats_nothing_while_values_change(api: Api, database: Any, database_url: str) -> None:
    assets = [AssetRow(f"a{number:03}", market_cap_rank=number or None, price_usd=Decimal(1)) for number in range(200)]
    await insert_assets(database, assets)
    walking = True

    async def change() -> None:
        while walking:
            await database.execute(
                """UPDATE assets SET price_usd = price_usd + 1, version = nextval('asset_versions'), updated_at = now()
                   WHERE asset_uid IN (SELECT asset_uid FROM assets ORDER BY random() LIMIT 40)"""
            )

    changing = asyncio.create_task(change())
    try:
        seen = await walk(api, 5)
    finally:
        walking = False
        await changing
    assert seen == expected_order(assets, "rank")


async def test_numbers_are_json_numbers_with_every_digit(api: Api, database: Any) -> None:
    tiny, huge = Decimal("3.84e-18"), Decimal(9223372036854775807)
    exact = Decimal("67685.7712345678901234567890")
    await insert_assets(database, [AssetRow("tiny", price_usd=tiny, max_supply=huge, volume_24h_usd=exact)])
    answered = await api.get("/data/tiny")
    assert '"price_usd":3.84e-18' in answered.text
    assert '"max_supply":9223372036854775807' in answered.text
    assert '"volume_24h_usd":67685.7712345678901234567890' in answered.text
    assert (await api.get("/data")).body["data"][0]["price_usd"] == tiny


async def test_round_amounts_are_written_out(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("round", price_usd=Decimal(5350000000), max_supply=Decimal("1e24"))])
    answered = await api.get("/data/round")
    assert '"price_usd":5350000000,' in answered.text
    assert '"max_supply":1000000000000000000000000,' in answered.text


async def test_a_number_that_json_does_not_have_is_null(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("odd", price_usd=Decimal("NaN"))])
    assert (await api.get("/data/odd")).body["price_usd"] is None


SYMBOLS = [
    "$myro", "a/b", "raw/coingecko", "🚀", "two words", "100%", "a%2fb", "ação", "#1", "?", "+", "raw", "c&d",
    "'; drop table assets; --", "a\\b", '"', "%", "..a", "x" * 64,
]  # fmt: skip


async def test_any_symbol_is_found_url_encoded(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow(symbol) for symbol in SYMBOLS])
    for symbol in SYMBOLS:
        answered = await api.get(f"/data/{quote(symbol, safe='')}", encoded=True)
        assert (answered.status, answered.body["asset_uid"]) == (200, symbol)
        listed = (await api.get("/data", params={"symbol": symbol})).body["data"]
        assert [asset["asset_uid"] for asset in listed] == [symbol]


async def test_symbols_are_folded_and_the_word_count_is_found_by_filter(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc"), AssetRow("count")])
    assert (await api.get("/data/BTC")).body["asset_uid"] == "btc"
    page = (await api.get("/data?symbol=COUNT")).body
    assert ([asset["asset_uid"] for asset in page["data"]], page["total"], page["next_cursor"]) == (["count"], 1, None)
    assert (await api.get("/data/count")).body["total"] == 2


async def test_an_unknown_symbol_is_404_and_names_it(api: Api) -> None:
    answered = await api.get("/data/nosuch")
    assert (answered.status, answered.code, answered.body["asset_uid"]) == (404, "asset_not_found", "nosuch")
    assert answered.headers["Content-Type"] == "application/problem+json"


async def test_the_losers_stay_visible_with_why_they_lost(api: Api, database: Any) -> None:
    agreeing = '[{"source": "coingecko", "source_id": "vechain"}, {"source": "coinpaprika", "source_id": "vet-vechain"}]'
    asset = AssetRow("vet", agreeing=agreeing)
    await insert_assets(database, [asset])
    await database.execute("UPDATE assets SET source_id = 'vechain'")
    await insert_quotes(
        database,
        [
            QuoteRow("coingecko", "vechain", "vet", Decimal("0.02"), 50),
            QuoteRow("coinpaprika", "vet-vechain", "vet", Decimal("0.0201"), 51),
            QuoteRow("coinpaprika", "vet-veteran", "vet", Decimal("3e-9")),
            QuoteRow("csv", "vet", "vet", Decimal("0.05"), source_updated_at=LONG_AGO - timedelta(days=30)),
        ],
    )
    listings = (await api.get("/data/vet")).body["listings"]
    assert listings["taken"]["source_id"] == "vechain"
    assert [one["source_id"] for one in listings["agreeing"]] == ["vechain", "vet-vechain"]
    assert {one["source_id"]: one["reason"] for one in listings["losers"]} == {"vet-veteran": "other_asset", "vet": "stale"}
    assert {one["price_usd"] for one in listings["losers"]} == {Decimal("3e-9"), Decimal("0.05")}


async def test_an_unchanged_answer_is_304_and_a_changed_one_is_not(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc", price_usd=Decimal(1))])
    first = await api.get("/data/btc")
    held = {"If-None-Match": first.headers["ETag"]}
    again = await api.get("/data/btc", headers=held)
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    await database.execute("UPDATE assets SET price_usd = 2")
    assert (await api.get("/data/btc", headers=held)).status == 200
    for path in ("/data", "/data/count", "/data/raw/csv"):
        tag = (await api.get(path)).headers["ETag"]
        for sent, coding in product((tag, f'"other", W/{tag.removeprefix("W/")}'), ("identity", "gzip, br")):
            again = await api.get(path, headers={"If-None-Match": sent, "Accept-Encoding": coding})
            assert (again.status, again.headers["ETag"]) == (304, tag)


async def test_head_answers_like_get_without_a_body(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc")])
    answered = await api.ask("HEAD", "/data")
    assert (answered.status, answered.text) == (200, "")
    assert answered.headers["ETag"] == (await api.get("/data")).headers["ETag"]


async def test_each_data_answer_credits_the_providers(api: Api) -> None:
    answered = await api.get("/data")
    assert "Data provided by CoinGecko" in answered.headers["X-Attribution"]
    assert "Powered by CoinPaprika" in answered.headers["Link"]
    assert {credit["text"] for credit in answered.body["attribution"]} == {"Data provided by CoinGecko", "Powered by CoinPaprika"}
    assert all(credit["url"].startswith("https://") for credit in answered.body["attribution"])


async def test_the_total_of_an_empty_database_is_0_and_follows_within_a_second(api: Api, database: Any) -> None:
    page = (await api.get("/data")).body
    assert (page["data"], page["total"], page["next_cursor"]) == ([], 0, None)
    await insert_assets(database, some_assets(12))

    async def counted_all() -> bool:
        return bool((await api.get("/data?limit=1")).body["total"] == 12)

    await until(counted_all)
    counted = await api.get("/data/count?source=coingecko")
    assert counted.body["total"] == 6


BAD_PARAMETERS = [
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("limit=ten", "limit"),
    ("limit=1&limit=2", "limit"),
    ("offset=-1", "offset"),
    ("offset=99999999999999999999", "offset"),
    ("source=nosuch", "source"),
    ("sort=name", "sort"),
    ("sort=--rank", "sort"),
    ("symbol=", "symbol"),
    ("symbol=a%00b", "symbol"),
    ("symbol=" + "x" * 65, "symbol"),
    ("colour=red", "colour"),
    ("asset_uid=btc", "asset_uid"),
    ("cursor=nonsense", "cursor"),
    ("cursor=W10", "cursor"),
    ("cursor=%F0%9F%9A%80", "cursor"),
]


async def test_a_bad_parameter_is_400_and_named(api: Api) -> None:
    for query, parameter in BAD_PARAMETERS:
        answered = await api.get("/data?" + query)
        assert (answered.status, answered.body["parameter"]) == (400, parameter), query
        assert answered.body["type"] == f"urn:kasparro:problem:{answered.code}"
        assert parameter in answered.body["detail"]


async def test_a_cursor_works_only_for_its_sort_and_filter(api: Api, database: Any) -> None:
    await insert_assets(database, some_assets(20))
    cursor = (await api.get("/data?limit=5")).body["next_cursor"]
    for other in ("sort=-rank", "sort=price", "source=coingecko", "offset=5", "symbol=btc"):
        answered = await api.get(f"/data?{other}&cursor={cursor}")
        assert answered.status == 400, other
    assert (await api.get(f"/data?cursor={cursor}&limit=3")).status == 200


FORGED = ["null", '"NaN"', '"1e9999999"', '"99999999999999999999"', '"x"', '"2026-01-01"', '"0x10"', '"\uff11"', "1", '"-0"']


async def test_a_forged_cursor_is_answered_without_a_crash(api: Api) -> None:
    for sort in ("rank", "price", "updated_at", "uid"):
        for value in FORGED:
            cursor = urlsafe_b64encode(f'["{sort}:",{value},"btc"]'.encode()).decode().rstrip("=")
            assert (await api.get("/data", params={"sort": sort, "cursor": cursor})).status in {200, 400}, (sort, value)


async def test_what_looks_wrong_is_shown_with_the_asset(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("tico", 1), AssetRow("btc", 2)])
    await database.execute("UPDATE assets SET warnings = '{price_disagrees,volume_implausible}' WHERE asset_uid = 'tico'")
    listed = {asset["asset_uid"]: asset["warnings"] for asset in (await api.get("/data")).body["data"]}
    assert listed == {"tico": ["price_disagrees", "volume_implausible"], "btc": []}
    for asset_uid, warnings in listed.items():
        assert (await api.get(f"/data/{asset_uid}")).body["warnings"] == warnings
        assert (await api.get(f"/data?symbol={asset_uid}")).body["data"][0]["warnings"] == warnings


async def found_by(api: Api, search: str, **query: str) -> list[str]:
    page = (await api.get("/data", params={"search": search, **query})).body
    assert page["total"] >= len(page["data"])
    return [asset["asset_uid"] for asset in page["data"]]


async def test_a_search_finds_what_a_symbol_begins_with_and_what_a_name_contains(api: Api, database: Any) -> None:
    await insert_assets(
        database, [AssetRow(uid, market_cap_rank=rank) for rank, uid in enumerate(("btc", "bat", "abt", "100%"), 1)]
    )
    await database.execute("UPDATE assets SET name = 'Wrapped BTC' WHERE asset_uid = 'abt'")
    assert await found_by(api, "b") == ["btc", "bat", "abt"]  # abt by its name
    assert await found_by(api, " BtC ") == ["btc", "abt"]
    assert await found_by(api, "tc") == ["btc", "abt"]  # in the middle of a name: "The btc"
    assert await found_by(api, "%") == ["100%"]  # no pattern: the sign itself
    assert await found_by(api, "_") == []
    assert (await api.get("/data?search=b&limit=1")).body["total"] == 3


@pytest.mark.parametrize("sort", ["rank", "-price", "uid", "-updated_at"])
async def test_what_is_found_is_sorted_paged_and_walked_like_everything(api: Api, database: Any, sort: str) -> None:
    assets = some_assets(90)
    await insert_assets(database, assets)
    mine = [asset for asset in assets if asset.asset_uid.startswith("a001") and asset.source == "coingecko"]
    expected = expected_order(mine, sort)
    assert len(expected) > 4
    assert await walk(api, 2, sort=sort, search="a001", source="coingecko") == expected
    by_offset = [
        uid
        for offset in range(0, len(expected), 2)
        for uid in await found_by(api, "a001", source="coingecko", sort=sort, limit="2", offset=str(offset))
    ]
    assert by_offset == expected


async def test_a_search_that_cannot_be_is_refused_and_a_cursor_belongs_to_its_search(api: Api, database: Any) -> None:
    await insert_assets(database, some_assets(10))
    for wrong in ("search=", "search=%20", "search=%00", f"search={'x' * 65}", "search=a&symbol=btc"):
        assert (await api.get(f"/data?{wrong}")).code == "invalid_parameter"
    cursor = (await api.get("/data?search=a&limit=2")).body["next_cursor"]
    assert (await api.get("/data", params={"cursor": cursor, "search": "a0", "limit": "2"})).code == "invalid_cursor"


class Stopped(SystemClock):
    """No page gets any older."""

    def monotonic(self) -> float:
        return 1_000.0


async def test_a_page_that_was_rendered_needs_no_connection(serve: Serve, database: Any, database_url: str) -> None:
    await insert_assets(database, some_assets(60))
    async with serve(database_url=database_url, oldest_page_seconds=LONGEST_SECONDS, clock=Stopped()) as api:
        first = await api.get("/data?sort=-price")
        readers = api.client.app[READERS]
        async with AsyncExitStack() as taken:
            for _ in range(readers.pool.get_max_size()):
                await taken.enter_async_context(reading(readers))
            again = await api.get("/data?sort=-price")
            assert (again.status, again.text) == (200, first.text)
            assert (await api.get("/data/count?source=coingecko")).body["total"] == 30
            assert (await api.get("/data?symbol=a0001")).status == 503, "none is free"


async def test_a_page_says_of_which_moment_it_is_and_its_tag_is_that_of_the_rest(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc"), AssetRow("eth")])
    for path in ("/data", "/data?symbol=btc", "/data?symbol=nosuch", "/data?search=e&sort=-uid"):
        before = await database.fetchval("SELECT clock_timestamp()")
        first, second = await api.get(path), await api.get(path)
        after = await database.fetchval("SELECT clock_timestamp()")
        moments = [datetime.fromisoformat(answered.body["as_of"]) for answered in (first, second)]
        assert before < moments[0] < moments[1] < after
        assert first.headers["ETag"] == second.headers["ETag"]
        assert first.headers["ETag"].startswith("W/")
    await database.execute("UPDATE assets SET version = nextval('asset_versions'), updated_at = now()")
    assert (await api.get("/data?search=e&sort=-uid")).headers["ETag"] != first.headers["ETag"]


async def test_assets_are_sorted_by_the_code_points_of_their_uids(api: Api, database: Any) -> None:
    uids = ["a", "a-b", "aa", "b", "\u00e4", "\u20bf", "\U0001f680"]
    await insert_assets(database, [AssetRow(uid) for uid in reversed(uids)])
    assert await walk(api, 2, sort="uid") == await walk(api, 3, sort="rank") == uids

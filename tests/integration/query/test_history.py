"""GET /data/{asset_uid}/history."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from libs.domain.candles import Interval, Span
from libs.domain.identity import Listing
from libs.postgres.pool import Pool
from libs.postgres.reading.history import STATEMENTS
from libs.postgres.writing.chunks import Destination
from libs.postgres.writing.history import History
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, ensure, month_of
from libs.postgres.writing.sessions import open_writing_pool
from libs.postgres.writing.ticks import Tick
from services.query.handlers.history import HistoryAsked
from services.query.handlers.history import _candles as find_candles
from tests.integration.query.answers import Answered, Api
from tests.integration.query.test_plans import nodes
from tests.integration.writing.conftest import COINGECKO, COINPAPRIKA, START, numbered, place_of, tick, write_chunk

HOUR = timedelta(hours=1)
SPAN = "from=2026-07-01T00:00:00Z&to=2026-07-03"


@pytest.fixture
async def pool(database_url: str) -> Any:
    async with open_writing_pool(database_url, application="test", connections=3, statement_seconds=20) as pool:
        yield pool


async def tell(pool: Pool, ticks: Sequence[Tick], destination: Destination = COINGECKO) -> None:
    await write_chunk(pool, destination, place_of(ticks[0].quote.asset_uid), numbered(list(ticks)))


async def ask(api: Api, query: str, *, uid: str = "btc", **options: Any) -> Answered:
    answered = await api.get(f"/data/{uid}/history?{query}", **options)
    assert answered.status == 200, answered.text
    return answered


def at(*, minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def candles(answered: Answered) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in answered.body["data"]]


async def test_candles_of_every_width_come_with_the_gaps_between_them(api: Api, pool: Pool) -> None:
    minutes = (0, 1, 6, 59, 61, 3 * 60, 27 * 60)
    await tell(pool, [tick("bitcoin", "btc", minute=minute, price=f"{minute + 1}.50") for minute in minutes])
    hours = await ask(api, SPAN)
    price = [Decimal(minute) + Decimal("1.5") for minute in minutes]
    assert candles(hours) == [
        (at(minutes=0), price[0], price[3], price[0], price[3], 4),
        (at(minutes=60), price[4], price[4], price[4], price[4], 1),
        (at(minutes=180), price[5], price[5], price[5], price[5], 1),
        (at(minutes=27 * 60), price[6], price[6], price[6], price[6], 1),
    ]
    assert hours.body["gaps"] == [
        {"from": at(minutes=120), "to": at(minutes=180)},
        {"from": at(minutes=240), "to": at(minutes=1620)},
    ]
    assert hours.body["listings"] == [{"source": "coingecko", "source_id": "bitcoin"}]
    assert (hours.body["interval"], hours.body["from"], hours.body["to"]) == (
        "1h",
        "2026-07-01T00:00:00Z",
        "2026-07-03T00:00:00Z",
    )
    days = await ask(api, f"{SPAN}&interval=1d")
    assert [(row["open"], row["close"], row["ticks"]) for row in days.body["data"]] == [
        (price[0], price[5], 6),
        (price[6], price[6], 1),
    ]
    assert days.body["gaps"] == []
    fives = await ask(api, f"{SPAN}&interval=5m&limit=5000")
    assert [row["ticks"] for row in fives.body["data"]] == [2, 1, 1, 1, 1, 1]
    ones = await ask(api, f"{SPAN}&interval=1m&limit=5000")
    assert [row["started_at"] for row in ones.body["data"]] == [at(minutes=minute) for minute in minutes]
    assert ones.body["gaps"][0] == {"from": at(minutes=2), "to": at(minutes=6)}


async def test_a_walk_meets_each_candle_and_each_gap_once(api: Api, pool: Pool) -> None:
    minutes = [*range(0, 60, 7), 400, 401, 1500]
    await tell(pool, [tick("bitcoin", "btc", minute=minute, price="5") for minute in minutes])
    for interval in ("1m", "5m", "1h"):
        whole = (await ask(api, f"{SPAN}&interval={interval}&limit=5000")).body
        assert whole["next_cursor"] is None
        for limit in (1, 2, 17):
            met, gaps, cursor = [], [], ""
            while True:
                page = (await ask(api, f"{SPAN}&interval={interval}&limit={limit}{cursor}")).body
                assert 0 < len(page["data"]) <= limit
                met += page["data"]
                gaps += page["gaps"]
                if page["next_cursor"] is None:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            assert met == whole["data"]
            assert gaps == whole["gaps"]


class Vanishing:
    """A connection behind whose first answer the oldest candles are dropped, as by retention or a rebuild."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def fetchrow(self, *asked: Any) -> Any:
        row = await self.connection.fetchrow(*asked)
        await self.connection.execute("DELETE FROM candles_1h WHERE started_at = $1", START)
        return row

    async def fetch(self, *asked: Any) -> Any:
        return await self.connection.fetch(*asked)


async def test_a_page_whose_candles_are_dropped_while_it_is_read_leads_on_to_the_next(pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", minute=minute) for minute in (0, 300)])
    asked = HistoryAsked.model_validate({"asset_uid": "btc", "limit": 2})
    listings, span = [Listing("coingecko", "bitcoin")], Span(START, START + 24 * HOUR)
    async with pool.acquire() as connection:
        vanishing: Any = Vanishing(connection)
        page = await find_candles(vanishing, asked, listings, span)
        assert (page.rows, page.next_cursor is None) == ([], False)
        rest = await find_candles(connection, asked.model_copy(update={"cursor": page.next_cursor}), listings, span)
    assert [row["started_at"] for row in rest.rows] == [START + 5 * HOUR]


async def test_gaps_are_inside_the_series_whatever_the_page_shows_of_it(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", minute=minute) for minute in (0, 600)])

    async def gaps(start: float, end: float) -> list[tuple[str, str]]:
        answered = await ask(api, f"interval=1h&from={at(minutes=start)}&to={at(minutes=end)}")
        return [(gap["from"], gap["to"]) for gap in answered.body["gaps"]]

    assert await gaps(-600, 1200) == [(at(minutes=60), at(minutes=600))]
    assert await gaps(90, 1200) == [(at(minutes=120), at(minutes=600))], "begins within an hour: the next that begins is meant"
    assert await gaps(-600, 300) == [(at(minutes=60), at(minutes=300))]
    assert await gaps(120, 240) == [(at(minutes=120), at(minutes=240))]
    assert await gaps(660, 1200) == await gaps(-600, 0) == []


async def test_an_assets_candles_are_those_of_the_listings_that_agree_and_a_sources_are_its_own(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", minute=minute, price=price, rank=1) for minute, price in ((0, "100"), (30, "104"))])
    theirs = [("btc-bitcoin", 10, "99"), ("btc-bitcoin", 30, "101"), ("btc-other", 59, "7")]
    for source_id, minute, price in theirs:
        name = "bitcoin" if source_id == "btc-bitcoin" else "other"
        await tell(pool, [tick(source_id, "btc", source="coinpaprika", minute=minute, price=price, name=name)], COINPAPRIKA)
    both = await ask(api, SPAN)
    assert [tuple(one.values()) for one in both.body["listings"]] == [("coingecko", "bitcoin"), ("coinpaprika", "btc-bitcoin")]
    assert candles(both) == [(at(minutes=0), 100, 104, 99, 104, 4)], "of one moment's two the first source's counts"
    alone = await ask(api, f"{SPAN}&source=coinpaprika")
    assert candles(alone) == [(at(minutes=0), 99, 101, 99, 101, 2)]
    assert (await ask(api, f"{SPAN}&source=csv")).body["data"] == []


async def test_a_source_that_does_not_agree_has_a_history_too(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", price="100", rank=1)])
    await tell(pool, [tick("x", "btc", source="coinpaprika", price="7", name="Other")], COINPAPRIKA)
    answered = await ask(api, f"{SPAN}&source=coinpaprika")
    assert (answered.body["source"], answered.body["listings"]) == ("coinpaprika", [{"source": "coinpaprika", "source_id": "x"}])
    assert candles(answered) == [(at(minutes=0), 7, 7, 7, 7, 1)]


async def test_ticks_are_walked_oldest_first_each_once(api: Api, pool: Pool) -> None:
    told = [tick("bitcoin", "btc", minute=minute // 3, price=str(minute), rank=1) for minute in range(11)]
    await tell(pool, told)
    same = [tick("b", "btc", source="coinpaprika", minute=minute, price="5", name="bitcoin") for minute in range(3)]
    await tell(pool, same, COINPAPRIKA)
    known = sorted((one.quote.source_updated_at, one.quote.tick_id) for one in (*told, *same))
    for limit in (1, 4, 14, 5000):
        met, cursor = [], ""
        while True:
            page = (await ask(api, f"{SPAN}&interval=raw&limit={limit}{cursor}")).body
            assert 0 < len(page["data"]) <= limit, "no page leads to an empty one"
            met += page["data"]
            assert page["gaps"] == []
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert [(row["event_time"], row["tick_id"]) for row in met] == [
            (moment.isoformat().replace("+00:00", "Z"), str(tick_id)) for moment, tick_id in known
        ]
    assert set(met[0]) == {
        "event_time",
        "fetched_at",
        "source",
        "source_id",
        "price_usd",
        "market_cap_usd",
        "volume_24h_usd",
        "tick_id",
    }


async def test_times_are_iso_8601_or_epochs_and_from_is_in_and_to_is_not(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", minute=minute) for minute in (0, 60)])
    begins, ends = int(START.timestamp()), int((START + HOUR).timestamp())
    for bounds in (
        f"from={begins}&to={ends}",
        f"from={begins}.0&to={ends}",
        f"from={begins}000&to={ends}000",
        f"from={at(minutes=0)}&to={quote('2026-07-01T15:00:00+02:00')}",
    ):
        assert [row["started_at"] for row in (await ask(api, bounds)).body["data"]] == [at(minutes=0)], bounds
    assert (await ask(api, f"from={begins}&to={begins + 0.5}")).body["data"]


async def test_without_bounds_it_is_the_last_time_up_to_now(api: Api, pool: Pool) -> None:
    now = datetime.now(UTC)
    one = tick("bitcoin", "btc")
    today = replace(COINGECKO, history=History(lambda: now, timedelta(days=90), None))
    await tell(pool, [one._replace(quote=one.quote._replace(source_updated_at=now))], today)
    for interval in ("raw", *Interval):
        answered = await ask(api, f"interval={interval}")
        assert len(answered.body["data"]) == 1, interval
        again = await api.get(f"/data/btc/history?interval={interval}", headers={"If-None-Match": answered.headers["ETag"]})
        assert again.status == 304 or again.body["to"] > answered.body["to"], "while a candle lasts it is the same answer"


async def test_csv_and_ndjson_are_the_rows_alone_and_the_rest_is_in_headers(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("=cmd|' /C calc'!A0", "btc", minute=minute, price="3.84e-18") for minute in (0, 1, 120)])
    path = f"{SPAN}&interval=1m&limit=2"
    whole = (await ask(api, f"{SPAN}&interval=1m&limit=5000")).body
    lines = await ask(api, path, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line, parse_float=Decimal) for line in lines.text.splitlines()] == whole["data"][:2]
    table = await ask(api, path, headers={"Accept": "text/html;q=0.5, text/csv, */*;q=0.1"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["started_at"], row["close"], row["ticks"]) for row in rows] == [
        (at(minutes=minute), "3.84e-18", "1") for minute in (0, 1)
    ]
    following = table.headers["Link"].partition(">")[0].removeprefix("<")
    assert 'rel="next"' in table.headers["Link"]
    assert 'rel="author"' in table.headers["Link"]
    last = await api.get(following, encoded=True, headers={"Accept": "text/csv"})
    assert last.text.splitlines()[1].startswith(at(minutes=120))
    assert (last.headers["X-Gaps"], last.headers["X-Gaps-Total"]) == (f"{at(minutes=2)}/{at(minutes=120)}", "1")
    assert "next" not in last.headers["Link"]
    raw = await ask(api, f"{SPAN}&interval=raw", headers={"Accept": "text/csv"})
    cells = list(csv.DictReader(io.StringIO(raw.text)))
    assert {row["source_id"] for row in cells} == {"'=cmd|' /C calc'!A0"}
    assert all(row["volume_24h_usd"] == "" for row in cells)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=2026-07-02&to=2026-07-01", "to"),
        ("from=2026-07-01&to=2026-07-01", "to"),
        ("from=soon", "from"),
        ("from=-5", "from"),
        ("from_=2026-07-01", "from_"),
        ("to=2026-07-01T00:00:00", "to"),
        ("to=99999999999999999", "to"),
        ("interval=2h", "interval"),
        ("limit=5001", "limit"),
        ("source=nosuch", "source"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(api: Api, query: str, named: str) -> None:
    answered = await api.get(f"/data/btc/history?{query}")
    assert (answered.status, answered.body["parameter"]) == (400, named)


async def test_a_cursor_belongs_to_what_it_was_given_out_for(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("bitcoin", "btc", minute=minute) for minute in (0, 60, 120)])
    cursor = (await ask(api, f"{SPAN}&limit=1")).body["next_cursor"]
    for other in (f"{SPAN}&interval=raw", f"{SPAN}&source=coingecko", "from=2026-07-01", ""):
        answered = await api.get(f"/data/btc/history?{other}&cursor={cursor}")
        assert (answered.status, answered.code) == (400, "invalid_cursor"), other


async def test_an_asset_that_is_not_there_is_404(api: Api) -> None:
    answered = await api.get("/data/nosuch/history")
    assert (answered.status, answered.code) == (404, "asset_not_found")


async def test_a_symbol_with_a_slash_has_a_history(api: Api, pool: Pool) -> None:
    await tell(pool, [tick("odd", "a/history", price="5")])
    answered = await api.get(f"/data/a%2Fhistory/history?{SPAN}", encoded=True)
    assert candles(answered) == [(at(minutes=0), 5, 5, 5, 5, 1)]
    assert (await api.get("/data/a%2Fhistory", encoded=True)).body["asset_uid"] == "a/history"


MANY_HOURS = """
    INSERT INTO candles_1h SELECT 'coingecko', 'coin' || listing, moment, 1, 2, 1, 2, 3, moment, moment, gen_random_uuid(),
        moment, moment, gen_random_uuid()
    FROM generate_series($1::timestamptz, $1 + interval '89 days', '1 hour') AS moment, generate_series(1, 40) AS listing"""


async def test_a_month_of_hours_is_read_from_the_keys_of_its_months_alone(database: Any) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    days = [start.date() + timedelta(days=day) for day in range(90)]
    await ensure(database, {Partition(CANDLES, month_of(day)) for day in days} | {Partition(TICKS, day) for day in days})
    await database.execute(MANY_HOURS, start)
    await database.execute("VACUUM ANALYZE candles_1h")
    asked = (["coingecko"], ["coin7"], start, start + timedelta(days=30), HOUR)
    explained = json.loads(await database.fetchval(f"EXPLAIN (FORMAT JSON) {STATEMENTS[Interval.HOUR].page}", *asked))
    told = json.dumps(explained)
    assert "candles_1h_202605" in told
    assert not {"candles_1h_202606", "candles_1h_202607"} & set(told.split('"'))
    assert "Seq Scan" not in set(nodes(explained[0]["Plan"]))


MANY_TICKS = """
    INSERT INTO quote_history SELECT 'coingecko', 'coin' || listing, moment, gen_random_uuid(), moment, moment, 1, 1, 1
    FROM generate_series($1::timestamptz, $1 + interval '60 hours', '5 minutes') AS moment, generate_series(1, 40) AS listing"""
MANY_QUOTES = """
    INSERT INTO quotes (source, source_id, asset_uid, symbol, name, price_usd, source_updated_at, fetched_at, tick_id, run_id)
    SELECT 'coingecko', 'coin' || listing, 'x', 'X', 'X', 1, $1, $1, gen_random_uuid(), gen_random_uuid()
    FROM generate_series(1, 4000) AS listing"""


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("vacuumed", [True, False])
async def test_an_open_hour_is_found_by_keys_alone(database: Any, mode: str, *, vacuumed: bool) -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    end = start + timedelta(hours=60)
    days = [start.date() + timedelta(days=day) for day in range(3)]
    await ensure(database, {Partition(CANDLES, month_of(start.date()))} | {Partition(TICKS, day) for day in days})
    await database.execute(MANY_TICKS, start)
    await database.execute(MANY_QUOTES, end)
    await database.execute(MANY_HOURS.replace("89 days", "1 day"), start)
    if vacuumed:
        await database.execute("VACUUM ANALYZE candles_1h, quote_history, quotes")
    await database.execute(f"SET plan_cache_mode = {mode}")
    span = f"'{start.isoformat()}', '{(end + HOUR).isoformat()}'"
    listings = "ARRAY['coingecko', 'coingecko'], ARRAY['coin7', 'coin8']"
    asked = {
        STATEMENTS[Interval.HOUR].page: f"{listings}, {span}, '1 hour'",
        STATEMENTS[Interval.HOUR].around: f"{listings}, '{end.isoformat()}'",
    }
    for statement, arguments in asked.items():
        await database.execute(f"PREPARE asked AS {statement}")
        (explained,) = json.loads(await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({arguments})"))
        await database.execute("DEALLOCATE asked")
        assert "Seq Scan" not in set(nodes(explained["Plan"])), explained
        assert "quotes_pkey" in json.dumps(explained)


async def test_whether_the_open_hour_has_a_row_is_not_seen(api: Api, pool: Pool) -> None:
    """It is whole either way, and so are the gaps around it."""
    minutes = (0, 50, 60, 200, 215, 239)
    await tell(pool, [tick("bitcoin", "btc", minute=minute, price=f"{minute % 7 + 1}") for minute in minutes])
    await tell(pool, [tick("b", "btc", source="coinpaprika", minute=minute, name="bitcoin") for minute in (10, 220)], COINPAPRIKA)

    async def answers() -> list[Any]:
        spans = [
            SPAN,
            f"from={at(minutes=0)}&to={at(minutes=180)}",
            f"from={at(minutes=60)}&to={at(minutes=240)}",
            f"{SPAN}&limit=1",
        ]
        return [(await ask(api, f"{span}&interval={interval}")).body for span in spans for interval in ("1h", "1d")]

    open_hours = await answers()
    assert [row["ticks"] for row in open_hours[0]["data"]] == [3, 1, 4]
    rows = await pool.fetchval("SELECT count(*) FROM candles_1h")
    await pool.execute("INSERT INTO candles_1h SELECT * FROM candles_1h_all ON CONFLICT DO NOTHING")
    assert await pool.fetchval("SELECT count(*) FROM candles_1h") == rows + 2
    assert await answers() == open_hours


async def test_an_open_hour_without_a_price_is_no_candle_and_no_end_of_the_series(api: Api, pool: Pool) -> None:
    ticks = [tick("bitcoin", "btc", minute=minute, price="5") for minute in (0, 300)]
    ticks[1] = ticks[1]._replace(quote=ticks[1].quote._replace(price_usd=None))
    await tell(pool, ticks)
    answered = await ask(api, SPAN)
    assert [row["started_at"] for row in answered.body["data"]] == [at(minutes=0)]
    assert answered.body["gaps"] == []

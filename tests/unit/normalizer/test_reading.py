import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.identity import tick_id_of
from libs.domain.rejections import Reason
from libs.postgres.writing.ticks import SetAside, Tick
from libs.sources.catalogue import SOURCES
from libs.streaming.chunks import Chunk
from services.normalizer.reading import Rejected, dead_letter, read_chunk

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Fetched:
    value: bytes | None
    key: bytes | None = b"btc"
    offset: int = 7
    timestamp: int = int(AT.timestamp() * 1000)
    headers: tuple[tuple[str, bytes | None], ...] = ()


def tick(payload: bytes = b'{"id":"bitcoin","symbol":"btc","name":"Bitcoin","current_price":1.50}', **fields: Any) -> bytes:
    """A RawTick of CoinGecko, with any field replaced."""
    body = {
        "tick_id": str(tick_id_of("coingecko", "bitcoin", payload)),
        "source": "coingecko",
        "source_id": "bitcoin",
        "asset_uid": "btc",
        "run_id": str(UUID(int=3)),
        "fetched_at": AT.isoformat(),
        "source_updated_at": AT.isoformat(),
    }
    head = json.dumps(body | fields, default=str).encode()
    return head[:-1] + b', "payload": ' + payload + b"}"


def reason_of(record: Fetched) -> Reason | None:
    reading = read_chunk(SOURCES["coingecko"], [record])
    return reading.rejected[0].rejection.reason if reading.rejected else None


def test_a_good_tick_is_read_with_its_digits() -> None:
    reading = read_chunk(SOURCES["coingecko"], [Fetched(tick())])
    assert reading.rejected == []
    (entry,) = reading.entries
    assert isinstance(entry, Tick)
    assert (entry.offset, str(entry.quote.price_usd)) == (7, "1.50")
    assert bytes(entry.payload) == tick().split(b'"payload": ')[1][:-1]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Fetched(None), Reason.UNDECODABLE),
        (Fetched(b""), Reason.UNDECODABLE),
        (Fetched(b"\xff\xfe"), Reason.UNDECODABLE),
        (Fetched(b"[1, 2]"), Reason.WRONG_SHAPE),
        (Fetched(tick(run_id="me")), Reason.WRONG_SHAPE),
        (Fetched(tick(), key=b"eth"), Reason.IDENTITY_MISMATCH),
        (Fetched(tick(), key=None), Reason.IDENTITY_MISMATCH),
        (Fetched(tick(source="csv")), Reason.IDENTITY_MISMATCH),
        (Fetched(tick(tick_id=UUID(int=1))), Reason.IDENTITY_MISMATCH),
        (Fetched(tick(fetched_at="2026-07-01T12:00:00")), Reason.WRONG_SHAPE),
        (Fetched(tick(fetched_at="2026-07-03T12:00:00Z")), Reason.TIME_IN_FUTURE),
        (Fetched(tick(source_updated_at="2036-07-03T12:00:00Z")), Reason.TIME_IN_FUTURE),
        (Fetched(tick(b'{"id":"bitcoin","symbol":"btc","name":"a\\u0000b","current_price":1}')), Reason.NUL_CHARACTER),
    ],
)
def test_each_kind_of_bad_record_has_its_reason(record: Fetched, reason: Reason) -> None:
    assert reason_of(record) is reason


def test_one_bad_record_spares_its_neighbours_and_keeps_its_run_where_that_is_known() -> None:
    bad = Fetched(tick(), key=b"eth", offset=8)
    reading = read_chunk(SOURCES["coingecko"], [Fetched(tick()), bad, Fetched(b"?", offset=9), Fetched(tick(), offset=10)])
    assert [entry.offset for entry in reading.entries] == [7, 8, 9, 10]
    assert [type(entry) for entry in reading.entries] == [Tick, SetAside, SetAside, Tick]
    assert [(one.record.offset, one.run_id) for one in reading.rejected] == [(8, UUID(int=3)), (9, None)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["tick_id", "source", "source_id", "asset_uid", "run_id", "fetched_at", "source_updated_at"])
rows = st.dictionaries(
    st.sampled_from(["id", "symbol", "name", "current_price", "market_cap", "last_updated", "quotes", "rank"]), anything
)
times = st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)


odd_ticks = st.builds(
    lambda row, fields: tick(json.dumps(row).encode(), **fields), rows, st.dictionaries(names, anything | times)
)


@pytest.mark.parametrize("source", list(SOURCES))
@given(st.binary() | odd_ticks)
def test_no_record_whatever_is_in_it_breaks_the_reading(source: str, value: bytes) -> None:
    reading = read_chunk(SOURCES[source], [Fetched(value)])
    assert len(reading.entries) == 1
    assert all(isinstance(one, Rejected) for one in reading.rejected)


@given(rows)
def test_a_true_tick_of_any_row_is_accepted_or_has_a_reason(row: dict[str, Any]) -> None:
    payload = json.dumps({"id": "bitcoin", "symbol": "btc"} | row).encode()
    reading = read_chunk(SOURCES["coingecko"], [Fetched(tick(payload))])
    assert len(reading.entries) == 1


@pytest.mark.parametrize(
    ("header", "attempt"), [(b"3", b"3"), (None, b"1"), (b"", b"1"), (b"-2", b"1"), (b"many", b"1"), (b"9" * 5_000, b"1")]
)
def test_a_dead_letter_counts_its_attempts_whatever_is_in_the_header(header: bytes | None, attempt: bytes) -> None:
    record = Fetched(b"not json", headers=(("kasparro.attempt", header), ("null", None)))
    chunk = Chunk("raw", 0, [record], 7, 8, None)
    (rejected,) = read_chunk(SOURCES["coingecko"], [record]).rejected
    letter = dead_letter(rejected, chunk, stage="normalizer", source="coingecko", topic="dead")
    assert dict(letter.headers)["kasparro.attempt"] == attempt

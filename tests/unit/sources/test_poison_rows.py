"""Nothing that arrives makes identify, quote_of or read_table raise: what is wrong is said, with a reason."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources.answers import AnswerError
from libs.sources.catalogue import SOURCES
from libs.sources.delimited.table import read_table
from libs.sources.source import RowIdentity
from tests.recorded import FIXTURES
from tests.unit.sources.ticks import FETCHED_AT, tick_of

ROWS: dict[str, dict[str, Any]] = {
    "coingecko": json.loads((FIXTURES / "coingecko_markets.json").read_bytes())[1],
    "coinpaprika": json.loads((FIXTURES / "coinpaprika_tickers.json").read_bytes())[0],
    "csv": {"Symbol": "BTC", "Price": "1.5", "Market Cap": "1T", "% 24h": "1%", "#": "1", "Date": "2026-01-01", "id": "x"},
}
numbers = st.sampled_from(
    ["NaN", "1e999999999", "-1e-999999999", "1" * 1001, "1,234", "1_000", " 7 ", "\N{ARABIC-INDIC DIGIT ONE}", "0x1"]
)
times = st.sampled_from(["9999-12-31T23:59:59-14:00", "0001-01-01", "2026-13-01", "1e10", "20260101", "9999999999"])
texts = st.text(max_size=8) | st.sampled_from(["a\x00b", "\ud83d", "x" * 10_000, "\N{RIGHT-TO-LEFT OVERRIDE}", "\x1b[2J"])
poison = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(2**63, 2**70) | numbers | times | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
sources = pytest.mark.parametrize("name", list(ROWS))


def paths_of(row: dict[str, Any]) -> list[tuple[str, ...]]:
    inner = [(name, *path) for name, value in row.items() if isinstance(value, dict) for path in paths_of(value)]
    return [(name,) for name in row] + inner


def poisoned(name: str, path: tuple[str, ...], value: object) -> bytes:
    row = json.loads(json.dumps(ROWS[name]))
    block = row
    for step in path[:-1]:
        block = block[step]
    block[path[-1]] = value
    return json.dumps(row).encode()


def judged(name: str, payload: bytes) -> None:
    """Identify the row; read it under its own identity and, as a lying producer would publish it, under another's."""
    source = SOURCES[name]
    identity = source.identify(payload, FETCHED_AT)
    assert isinstance(identity, (RowIdentity, Rejection))
    frames: list[RawTickFrame] = [msgspec.structs.replace(honest(name), payload=msgspec.Raw(payload))]
    if isinstance(identity, RowIdentity):
        assert 0 < len(identity.asset_uid) <= 64
        identity.source_id.encode()
        frames.append(tick_of(source, payload))
    for frame in frames:
        outcome = source.quote_of(frame)
        assert isinstance(outcome, (Quote, Rejection))
        if isinstance(outcome, Quote):
            assert "\x00" not in outcome.name + outcome.symbol
            (outcome.name + outcome.symbol).encode()


def honest(name: str) -> RawTickFrame:
    return tick_of(SOURCES[name], json.dumps(ROWS[name]).encode())


@sources
@given(data=st.data())
def test_poison_in_any_field_is_a_quote_or_a_reason(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths_of(ROWS[name])))
    judged(name, poisoned(name, path, data.draw(poison)))


@sources
@given(payload=st.binary(max_size=40))
def test_any_bytes_are_a_quote_or_a_reason(name: str, payload: bytes) -> None:
    judged(name, payload)


@sources
@given(data=st.data())
def test_a_damaged_row_is_a_quote_or_a_reason(name: str, data: st.DataObject) -> None:
    payload = json.dumps(ROWS[name]).encode()
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 5)))
    judged(name, payload[:start] + data.draw(st.binary(max_size=3)) + payload[end:])


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"symbol,price\n" + tail))
def test_any_file_is_a_table_or_an_error_in_words(content: bytes) -> None:
    with suppress(AnswerError):
        table = read_table(content, "some.csv")
        lines = [row.line for row in table.rows]
        assert lines == sorted(set(lines))


@given(st.text(st.sampled_from('symbol,;\t|"\n\r x1'), max_size=80))
def test_any_text_is_read_to_its_end(text: str) -> None:
    with suppress(AnswerError):
        for row in read_table(f"symbol,price\n{text}".encode(), "some.csv").rows:
            assert row.rejection is not None or isinstance(json.loads(row.payload), dict)

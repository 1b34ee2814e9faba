"""A row that holds only what its provider is known to send is read once; a careful look at it must come to the same."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources import binance, coingecko, coinpaprika, csv_file
from libs.sources.answers import rows_in
from libs.sources.catalogue import SOURCES
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings
from tests.unit.sources.test_poison_rows import ROWS as POISONED
from tests.unit.sources.test_poison_rows import paths_of, poison
from tests.unit.sources.ticks import tick_of

PAYLOADS = RECORDED / "payloads"
WHOLE: dict[str, msgspec.json.Decoder[Any]] = {
    "coingecko": coingecko._whole,
    "coinpaprika": coinpaprika._whole,
    "binance": binance._whole,
    "csv": csv_file._cells,
}
ROWS: dict[str, dict[str, Any]] = POISONED | {"binance": json.loads((FIXTURES / "binance_24hr.json").read_bytes())[1]}
ANSWERS = [
    ("coingecko", FIXTURES / "coingecko_markets.json"),
    ("coingecko", FIXTURES / "coingecko_stablecoins.json"),
    ("coinpaprika", FIXTURES / "coinpaprika_tickers.json"),
    ("binance", FIXTURES / "binance_24hr.json"),
    pytest.param("coingecko", PAYLOADS / "coingecko_markets_2022-02-23_250rows.json", marks=needs_full_recordings),
    pytest.param("coingecko", PAYLOADS / "coingecko_markets_stablecoins_2022-01-18_50rows.json", marks=needs_full_recordings),
    pytest.param("coinpaprika", PAYLOADS / "coinpaprika_tickers_full_2021-08-12_3795rows.json", marks=needs_full_recordings),
]
sources = pytest.mark.parametrize("name", list(SOURCES))
numbers = ["1e400", "-1e400", "1" * 5_000, "1" * 400 + ".5", "NaN"]
texts = ['"\\u0000"', '"\\ud83d"', '"\x00"', "[" * 300 + "]" * 300]


def carefully(payload: bytes) -> bytes:
    """The same row with a field more, which no provider sends and which is written so that it must be looked over."""
    return payload.rstrip()[:-1] + b',"not \\u0078 seen":"1"}'


def judged(name: str, payload: bytes) -> tuple[Quote | Rejection, Quote | Rejection]:
    """Return what comes of a row, and of the same row when it is looked over."""
    frame = tick_of(SOURCES[name], json.dumps(ROWS[name]).encode())
    quick, careful = (msgspec.structs.replace(frame, payload=msgspec.Raw(row)) for row in (payload, carefully(payload)))
    return SOURCES[name].quote_of(quick), SOURCES[name].quote_of(careful)


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_every_recorded_row_is_whole(name: str, answer: Path) -> None:
    for row in rows_in(answer.read_bytes()):
        WHOLE[name].decode(row)


@sources
def test_a_field_that_nobody_knows_makes_it_look_again_and_changes_nothing(name: str) -> None:
    payload = json.dumps(ROWS[name]).encode()
    quick, careful = judged(name, payload)
    assert isinstance(quick, Quote)
    assert quick == careful
    if name != "csv":
        with pytest.raises(msgspec.ValidationError):
            WHOLE[name].decode(carefully(payload))


@sources
@given(data=st.data())
def test_whatever_is_in_a_field_both_ways_come_to_the_same(name: str, data: st.DataObject) -> None:
    row = json.loads(json.dumps(ROWS[name]))
    path = data.draw(st.sampled_from(paths_of(row)))
    value = data.draw(poison.map(json.dumps) | st.sampled_from(numbers + texts))
    block = row
    for step in path[:-1]:
        block = block[step]
    block[path[-1]] = "in its place"
    payload = json.dumps(row).replace('"in its place"', value).encode()
    quick, careful = judged(name, payload)
    assert quick == careful if isinstance(careful, Quote) else isinstance(quick, Rejection)


@sources
@given(data=st.data())
def test_damaged_in_any_place_both_ways_come_to_the_same(name: str, data: st.DataObject) -> None:
    payload = json.dumps(ROWS[name]).encode()
    start = data.draw(st.integers(0, len(payload) - 2))
    end = data.draw(st.integers(start, min(len(payload) - 2, start + 5)))
    quick, careful = judged(name, payload[:start] + data.draw(st.binary(max_size=3)) + payload[end:])
    assert quick == careful if isinstance(careful, Quote) else isinstance(quick, Rejection)

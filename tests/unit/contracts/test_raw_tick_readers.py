"""RawTick (pydantic, public) and RawTickFrame (msgspec, the hot path) read the same message the same way."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.contracts.raw_tick import RawTick, RawTickEncoder, RawTickFrame, decode_raw_tick, encode_raw_tick
from libs.sources.answers import rows_in
from libs.sources.catalogue import SOURCES
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings
from tests.unit.sources.ticks import FETCHED_AT, tick_of

PAYLOADS = RECORDED / "payloads"
ANSWERS = [
    ("coingecko", FIXTURES / "coingecko_markets.json"),
    ("coinpaprika", FIXTURES / "coinpaprika_tickers.json"),
    pytest.param("coingecko", PAYLOADS / "coingecko_markets_2022-02-23_250rows.json", marks=needs_full_recordings),
    pytest.param("coingecko", PAYLOADS / "coingecko_markets_stablecoins_2022-01-18_50rows.json", marks=needs_full_recordings),
    pytest.param("coinpaprika", PAYLOADS / "coinpaprika_tickers_full_2021-08-12_3795rows.json", marks=needs_full_recordings),
]
MESSAGE: dict[str, Any] = {
    "tick_id": str(UUID(int=1)),
    "source": "csv",
    "source_id": "btc",
    "asset_uid": "btc",
    "run_id": str(UUID(int=2)),
    "fetched_at": "2026-03-01T12:00:00Z",
    "source_updated_at": "2026-03-01T12:00:00+00:00",
    "payload": {"symbol": "BTC"},
}

exact = msgspec.json.Decoder(float_hook=Decimal)


@pytest.mark.parametrize(("source", "answer"), ANSWERS)
def test_both_readers_agree_on_every_recorded_row(source: str, answer: Path) -> None:
    for row in rows_in(answer.read_bytes()):
        frame = tick_of(SOURCES[source], row)
        message = encode_raw_tick(frame)
        public, hot = RawTick.decode(message), decode_raw_tick(message)
        assert bytes(hot.payload) == row, "not one byte of the provider's row changes"
        assert public.payload == exact.decode(row), "and not one digit"
        for name in set(RawTick.model_fields) - {"payload"}:
            assert getattr(public, name) == getattr(hot, name)


def test_both_name_the_same_fields() -> None:
    assert tuple(RawTick.model_fields) == RawTickFrame.__struct_fields__


aware = st.datetimes(timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))))


@given(st.text(), st.uuids(), st.text(), st.text(), st.uuids(), aware, aware, st.dictionaries(st.text(), st.text()))
def test_an_answers_ticks_are_written_byte_for_byte_as_any_tick_is(
    source: str,
    tick_id: UUID,
    source_id: str,
    asset_uid: str,
    run_id: UUID,
    fetched_at: datetime,
    updated_at: datetime,
    row: dict[str, str],
) -> None:
    payload = msgspec.json.encode(row)
    frame = RawTickFrame(tick_id, source, source_id, asset_uid, run_id, fetched_at, updated_at, msgspec.Raw(payload))
    written = RawTickEncoder(source, run_id, fetched_at).encode(tick_id.bytes, source_id, asset_uid, updated_at, payload)
    assert written == encode_raw_tick(frame)


def test_a_row_from_the_future_of_this_message_is_still_read() -> None:
    message = msgspec.json.encode(MESSAGE | {"new_field": 1})
    assert RawTick.decode(message).fetched_at == decode_raw_tick(message).fetched_at == FETCHED_AT


@pytest.mark.parametrize(
    "wrong",
    [
        {"fetched_at": "2026-03-01T12:00:00"},
        {"source_updated_at": "2026-03-01T12:00:00"},
        {"source_updated_at": "yesterday"},
        {"tick_id": "1"},
        {"run_id": None},
        {"source": 3},
        {"source_id": ""},
        {"asset_uid": ""},
        {"asset_uid": "x" * 65},
    ],
)
def test_what_one_reader_refuses_the_other_refuses(wrong: dict[str, Any]) -> None:
    message = msgspec.json.encode(MESSAGE | wrong)
    with pytest.raises(ValidationError):
        RawTick.decode(message)
    with pytest.raises(msgspec.DecodeError):
        decode_raw_tick(message)


@pytest.mark.parametrize(
    "value", [b"", b"null", b"[]", b"{", b'{"source":"\xff"}', b'{"payload":' + b"[" * 100_000, b"\x00", b"\xff\xfe"]
)
def test_bytes_that_are_no_tick_raise_one_kind_of_error(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_raw_tick(value)

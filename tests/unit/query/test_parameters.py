"""What is taken for a number and for a text: one spelling of each, so that a mistake is not read as something else."""

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from services.query.endpoints import asked_of
from services.query.handlers.assets import AssetAsked, AssetsAsked
from services.query.handlers.etl import RunAllAsked
from services.query.handlers.raw_ticks import RawTickAsked
from services.query.problems import InvalidParameterError

SPELLINGS = ["5.0", "1_0", "%2B5", "+5", "5%20", "%205", "0x5", "5e0", "", "%D9%A5", "--5", "9" * 5_000]


def ask(path: str, parameters: type[Any], **in_path: str) -> Any:
    return asked_of(make_mocked_request("GET", path, match_info=in_path), parameters, frozenset(in_path))


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_whole_number_has_one_spelling(name: str, spelling: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        ask(f"/data?{name}={spelling}", AssetsAsked)
    assert refused.value.extra["parameter"] == name


@pytest.mark.parametrize("record_id", ["1.0", "1_0", "+1", " 1", "\u0665"])
def test_a_record_id_has_one_spelling(record_id: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        ask("/", RawTickAsked, source="csv", record_id=record_id)
    assert refused.value.extra["parameter"] == "record_id"


@pytest.mark.parametrize("spelling", ["1_0", "+5", "5%20", "5.", ".5", "1e", "e2", "1e1000", "1e300", "nan", "inf", "0x5", ""])
def test_seconds_are_a_number_as_json_writes_one(spelling: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        ask(f"/etl/run-all?timeout={spelling}", RunAllAsked)
    assert refused.value.extra["parameter"] == "timeout"


def test_usual_numbers_are_taken() -> None:
    assert ask("/data?limit=005&offset=0", AssetsAsked).limit == 5
    assert ask("/etl/run-all?timeout=1.5", RunAllAsked).timeout == 1.5
    assert ask("/etl/run-all?timeout=60", RunAllAsked).timeout == 60
    assert ask("/etl/run-all?timeout=1e-05", RunAllAsked).timeout == 0.00001
    assert ask("/", RawTickAsked, source="csv", record_id="12").record_id == 12


@pytest.mark.parametrize("symbol", ["%FF", "a%FFb", "%C3", "%ED%A0%80", "%ff+x"])
def test_bytes_that_are_no_text_are_refused(symbol: str) -> None:
    for path, parameters, in_path, named in (
        (f"/data?limit=5&symbol={symbol}", AssetsAsked, {}, "symbol"),
        (f"/data/{symbol}", AssetAsked, {"asset_uid": symbol.upper()}, "asset_uid"),
    ):
        with pytest.raises(InvalidParameterError, match="UTF-8") as refused:
            ask(path, parameters, **in_path)
        assert refused.value.extra["parameter"] == named


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidParameterError):
        ask("/data?%FF=1", AssetsAsked)


def test_escapes_that_are_text_are_taken() -> None:
    assert ask("/data?symbol=%E2%82%BFtc", AssetsAsked).symbol == "₿tc"
    assert ask("/data/%25ff", AssetAsked, asset_uid="%ff").asset_uid == "%ff"

"""Rows that no consumer can use, each wrong in one way. They are added to an answer; its own rows stay as they are."""

import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

_RAW = "\x01raw\x01"


class PoisonKind(StrEnum):
    """What is wrong with a row."""

    NULL_SYMBOL = "null_symbol"
    BLANK_SYMBOL = "blank_symbol"
    MISSING_SYMBOL = "missing_symbol"
    LONG_SYMBOL = "long_symbol"
    NUMBER_FOR_SYMBOL = "number_for_symbol"
    NUL_IN_SYMBOL = "nul_in_symbol"
    NUL_IN_NAME = "nul_in_name"
    LONE_SURROGATE_IN_NAME = "lone_surrogate_in_name"
    NULL_ID = "null_id"
    MISSING_ID = "missing_id"
    PRICE_AS_WORDS = "price_as_words"
    PRICE_AS_OBJECT = "price_as_object"
    PRICE_WITH_EXPONENT_400000 = "price_with_exponent_400000"
    PRICE_WITH_200000_DIGITS = "price_with_200000_digits"
    RANK_AS_WORDS = "rank_as_words"
    RANK_BEYOND_64_BITS = "rank_beyond_64_bits"
    UNREADABLE_TIME = "unreadable_time"
    NUMBER_FOR_TIME = "number_for_time"
    TIME_IN_FAR_FUTURE = "time_in_far_future"
    NULL_ROW = "null_row"
    TEXT_ROW = "text_row"
    LIST_ROW = "list_row"
    EMPTY_ROW = "empty_row"


def poisoned(rows: list[str], kinds: Iterable[PoisonKind]) -> list[str]:
    """Return the rows with one of each kind put among them, evenly, under ids of their own (`poison-<kind>`)."""
    wanted = list(kinds)
    apart = max(1, len(rows) // (len(wanted) + 1))
    template = next((row for row in rows), "{}")
    spoilt = list(rows)
    for place, kind in enumerate(wanted):
        spoilt.insert(apart * (place + 1) + place, _row(template, kind))
    return spoilt


def _row(template: str, kind: PoisonKind) -> str:
    if kind in _WHOLE_ROWS:
        return _WHOLE_ROWS[kind]
    row = json.loads(template) | {
        "id": f"poison-{kind}",
        "symbol": f"psn{list(PoisonKind).index(kind)}",
        "name": f"Poison {kind}",
    }
    raw = _SPOIL[kind](row)
    written = json.dumps(row, separators=(",", ":"))
    return written.replace(json.dumps(_RAW), raw or "")


_WHOLE_ROWS: Final[Mapping[PoisonKind, str]] = {
    PoisonKind.NULL_ROW: "null",
    PoisonKind.TEXT_ROW: '"a row that is only words"',
    PoisonKind.LIST_ROW: "[1,2,3]",
    PoisonKind.EMPTY_ROW: "{}",
}

_Spoil = Callable[[dict[str, Any]], str | None]
"""Changes a row in place; returns the text to stand, unquoted, where it left _RAW."""


def _field(name: str, value: object) -> _Spoil:
    def spoil(row: dict[str, Any]) -> None:
        row[name] = value

    return spoil


def _without(name: str) -> _Spoil:
    def spoil(row: dict[str, Any]) -> None:
        del row[name]

    return spoil


def _price(value: object, raw: str | None = None) -> _Spoil:
    def spoil(row: dict[str, Any]) -> str | None:
        if "quotes" in row:
            row["quotes"]["USD"]["price"] = value
        else:
            row["current_price"] = value
        return raw

    return spoil


def _rank(value: object) -> _Spoil:
    def spoil(row: dict[str, Any]) -> None:
        row["rank" if "rank" in row else "market_cap_rank"] = value

    return spoil


_SPOIL: Final[Mapping[PoisonKind, _Spoil]] = {
    PoisonKind.NULL_SYMBOL: _field("symbol", None),
    PoisonKind.BLANK_SYMBOL: _field("symbol", "  "),
    PoisonKind.MISSING_SYMBOL: _without("symbol"),
    PoisonKind.LONG_SYMBOL: _field("symbol", "poison" * 20),
    PoisonKind.NUMBER_FOR_SYMBOL: _field("symbol", 42),
    PoisonKind.NUL_IN_SYMBOL: _field("symbol", "psn\x00"),
    PoisonKind.NUL_IN_NAME: _field("name", "Poison\x00"),
    PoisonKind.LONE_SURROGATE_IN_NAME: _field("name", "Poison \ud800"),
    PoisonKind.NULL_ID: _field("id", None),
    PoisonKind.MISSING_ID: _without("id"),
    PoisonKind.PRICE_AS_WORDS: _price("a lot"),
    PoisonKind.PRICE_AS_OBJECT: _price({"usd": 1}),
    PoisonKind.PRICE_WITH_EXPONENT_400000: _price(_RAW, "1e400000"),
    PoisonKind.PRICE_WITH_200000_DIGITS: _price(_RAW, "9" * 200_000),
    PoisonKind.RANK_AS_WORDS: _rank("first"),
    PoisonKind.RANK_BEYOND_64_BITS: _rank(2**64),
    PoisonKind.UNREADABLE_TIME: _field("last_updated", "yesterday, about noon"),
    PoisonKind.NUMBER_FOR_TIME: _field("last_updated", 1700000000),
    PoisonKind.TIME_IN_FAR_FUTURE: _field("last_updated", "2999-01-01T00:00:00Z"),
}

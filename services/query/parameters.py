"""What callers may ask for, checked at the edge: a value that passes here is one that Postgres takes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema

from libs.contracts.dead_letters import ERROR_CLASSES
from libs.domain.identity import LONGEST_ASSET_UID, asset_uid_of
from libs.domain.rejections import Rejection
from libs.sources.catalogue import SOURCES
from services.query.cursors import LONGEST_CURSOR
from services.query.live.positions import LONGEST_POSITION, decode_position
from services.query.problems import UnknownSourceError

LARGEST_PAGE = 500
LARGEST_OFFSET = 1_000_000
LARGEST_RECORD_ID = 2**63 - 1
LONGEST_RUN_SECONDS = 600
MOST_DIGITS = 30
"""Of a number; no bound is nearly as long."""


def _source_filter(source: str) -> str:
    if source not in SOURCES:
        raise ValueError(f"there is no such source; there are: {', '.join(SOURCES)}")
    return source


def _folded(symbol: str) -> str:
    try:
        symbol.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    asset_uid = asset_uid_of(symbol)
    if isinstance(asset_uid, Rejection):
        raise ValueError(asset_uid.detail)  # noqa: TRY004 pydantic turns a ValueError into a refused parameter
    return asset_uid


def _searched(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    searched = text.strip().lower()
    if not searched or "\x00" in searched:
        raise ValueError("must have a character, and no NUL")
    return searched


def _canonical_uuid(text: object) -> object:
    """Refuse the spellings that UUID() takes beside the usual one: braces, urn:, none of the dashes."""
    if isinstance(text, str) and len(text) != 36:  # noqa: PLR2004 a UUID's length
        raise ValueError("must be a UUID such as 123e4567-e89b-12d3-a456-426614174000")
    return text


def _spelt_as(pattern: str, kind: str) -> BeforeValidator:
    """Take one spelling of a number: `1_0`, `5.0` and ` 5` are mistakes, and not 10 and 5."""
    spelling = re.compile(pattern, re.ASCII)

    def check(text: object) -> object:
        if isinstance(text, str) and not spelling.fullmatch(text):
            raise ValueError(f"must be {kind}")
        return text

    return BeforeValidator(check)


WHOLE = _spelt_as(rf"-?\d{{1,{MOST_DIGITS}}}", "a whole number such as 50")
DECIMAL = _spelt_as(rf"-?\d{{1,{MOST_DIGITS}}}(\.\d{{1,{MOST_DIGITS}}})?([eE][+-]?\d{{1,3}})?", "a number such as 60 or 1.5")

Limit = Annotated[int, Field(description="Most rows of a page", ge=1, le=LARGEST_PAGE), WHOLE]
Offset = Annotated[int, Field(description="Rows to skip; for walking everything use `cursor`", ge=0, le=LARGEST_OFFSET), WHOLE]
CursorText = Annotated[
    str,
    Field(
        description="`next_cursor` of the page before, with the same sort and filters", min_length=1, max_length=LONGEST_CURSOR
    ),
]
SourceFilter = Annotated[
    str, AfterValidator(_source_filter), Field(description="Only of this source", json_schema_extra={"enum": list(SOURCES)})
]
ErrorClass = Annotated[Literal[ERROR_CLASSES], Field(description="Only of this error class")]  # type: ignore[valid-type] # a constant tuple
SourceInPath = Annotated[str, Field(description="A source's name", json_schema_extra={"examples": list(SOURCES)})]
Symbol = Annotated[
    str,
    AfterValidator(_folded),
    Field(description="The symbol, upper or lower case", json_schema_extra={"maxLength": LONGEST_ASSET_UID}, examples=["btc"]),
]
SearchText = Annotated[
    str,
    Field(
        description="Only assets whose symbol begins with this, or whose name contains it, in upper or lower case",
        min_length=1,
        max_length=LONGEST_ASSET_UID,
        examples=["bit"],
    ),
    AfterValidator(_searched),
]
RunId = Annotated[UUID, BeforeValidator(_canonical_uuid), Field(description="A run's id")]
RecordId = Annotated[int, Field(description="A raw row's id", ge=1, le=LARGEST_RECORD_ID), WHOLE]
MOST_UIDS = 500


def _split(given: object) -> object:
    """Take `uid=btc,eth`, `uid=btc&uid=eth`, and both at once."""
    if not isinstance(given, list):
        return given
    return [one.strip() for text in given for one in text.split(",")] if all(isinstance(one, str) for one in given) else given


def _true_or_false(text: object) -> object:
    """Take one spelling of each: `1`, `yes` and `True` are mistakes."""
    if isinstance(text, str) and text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text


def _position(text: str) -> str:
    decode_position(text)
    return text


Symbols = Annotated[
    list[Symbol],
    BeforeValidator(_split),
    Field(description="Only these assets: symbols joined by commas, or given several times", min_length=1, max_length=MOST_UIDS),
]
Top = Annotated[int, Field(description="Only assets of this market-cap rank or a better one", ge=1, le=10_000), WHOLE]
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
EventId = Annotated[
    str,
    AfterValidator(_position),
    Field(description="Go on behind the event of this id; the header `Last-Event-ID` says the same", max_length=LONGEST_POSITION),
]
WaitSeconds = Annotated[
    float, Field(description="Seconds to wait for the end of the run", ge=0, le=LONGEST_RUN_SECONDS, allow_inf_nan=False), DECIMAL
]

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
MOMENT = _spelt_as(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)",
    "a time with its zone such as 2026-01-31T12:00:00Z (a + as %2B)",
)
Since = Annotated[AwareDatetime, Field(description="Not before this time", ge=EARLIEST, le=LATEST), MOMENT]

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = re.compile(r"\d{1,10}(\.\d{1,6})?|\d{11,14}", re.ASCII)
_LONGEST_SECONDS = 10
"""Digits of an epoch in seconds, up to the year 2286; one in milliseconds has had more since 1973."""


def _moment(text: object) -> object:
    """Read a day as its beginning in UTC, and an epoch in seconds or in milliseconds; leave what else is a time as it is."""
    if not isinstance(text, str):
        return text
    if _DATE.fullmatch(text):
        return f"{text}T00:00:00Z"
    if _EPOCH.fullmatch(text):
        whole, _, _ = text.partition(".")
        return datetime.fromtimestamp(0, UTC) + (
            timedelta(seconds=float(text)) if len(whole) <= _LONGEST_SECONDS else timedelta(milliseconds=int(text))
        )
    return MOMENT.func(text)  # type: ignore[call-arg] # a function of one argument, as we made it


Moment = Annotated[
    AwareDatetime,
    Field(ge=EARLIEST, le=LATEST),
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "description": "ISO 8601 with its zone (a + as %2B), a day (as it begins in UTC), or (milli)seconds since 1970",
            "examples": ["2026-01-31T12:00:00Z", "2026-01-31", "1769860800"],
        }
    ),
]


def known_source(source: str) -> str:
    """Return the source of a path. Raises UnknownSourceError."""
    if source not in SOURCES:
        raise UnknownSourceError(f"there is no source {source!r}; there are: {', '.join(SOURCES)}", source=source)
    return source

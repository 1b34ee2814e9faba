"""A provider's whole answer: a JSON list whose rows keep the exact bytes that were sent."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

LONGEST_QUOTATION = 200
"""Characters of a provider's words that a message repeats."""

_rows = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class AnswerError(ValueError):
    """The answer as a whole is not what it should be: nothing of it is used, the run fails with these words."""


def rows_in(answer: bytes, *, may_be_empty: bool = True) -> list[bytes]:
    """Split an answer into its rows, each with the bytes that the provider sent.

    Raises AnswerError when it is not a list of objects at all. A row that is wrong by itself (a bad escape, a number in
    the place of an object) is handed on: `identify` says what is wrong with it, and its neighbours live. An empty list is
    an answer, for instance a page behind the last one, unless the caller knows better (`may_be_empty=False`).
    """
    text = answer.removeprefix(_BYTE_ORDER_MARK).strip()
    rows = _split(text)
    if not rows and not may_be_empty:
        raise AnswerError("the answer is an empty list")
    if rows and not any(row.startswith(b"{") for row in rows):
        raise AnswerError(f"the answer is a list, but not of objects: it begins {_quoted(text)}")
    return rows


def _split(text: bytes) -> list[bytes]:
    if not text:
        raise AnswerError("the answer is empty")
    if text.startswith(b"<"):
        title = _TITLE.search(text)
        raise AnswerError(f"the answer is an HTML page, not JSON: {_quoted(title[1] if title else text)}")
    if not text.startswith(b"["):
        raise AnswerError(_not_a_list(text))
    try:
        return list(map(bytes, _rows.decode(text)))
    except (msgspec.DecodeError, RecursionError) as error:
        return _split_leniently(text, error)


def _split_leniently(text: bytes, strict: Exception) -> list[bytes]:
    """Find the rows when one of them spoils the list for the strict reader; raise when it is the list that is broken.

    Python's reader takes a lone surrogate or a NaN, so the damage stays in the row that has it.
    """
    try:
        return [row.encode("utf-8", "surrogateescape") for row in _spans(text.decode("utf-8", "surrogateescape"))]
    except (ValueError, RecursionError):
        what = "truncated" if "truncated" in str(strict) else "not readable as JSON"
        raise AnswerError(f"the answer is a list that is {what}: {strict}") from strict


def _spans(text: str) -> Iterator[str]:
    scanner = json.JSONDecoder(parse_int=str, parse_float=str)  # an int of 5,000 digits is one that Python refuses to make
    start = _past_space(text, 1)
    while True:
        _, end = scanner.raw_decode(text, start)
        yield text[start:end]
        follows = _past_space(text, end)
        if text[follows : follows + 1] == "]" and follows + 1 == len(text):
            return
        if text[follows : follows + 1] != ",":
            raise ValueError("neither a comma nor the list's end follows the row")
        start = _past_space(text, follows + 1)


def _past_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return space.end() if space else start


def _not_a_list(text: bytes) -> str:
    try:
        value = _anything.decode(text)
    except (ValueError, RecursionError):
        return f"the answer is not JSON: it begins {_quoted(text)}"
    message = _message_in(value)
    if message:
        return f"the provider says: {message[:LONGEST_QUOTATION]}"
    return f"the answer is not a list: it begins {_quoted(text)}"


def _message_in(value: Any) -> str | None:
    """The provider's own words, under the names that the recorded errors use. A status in one word ("ok") says nothing."""
    if isinstance(value, str):
        return value or None
    if not isinstance(value, dict):
        return None
    names = ("error_message", "error", "message", "detail")
    told = [value.get(name) for name in names]
    if isinstance(value.get("status"), dict):
        told.append(value["status"])
    return next((found for words in told if (found := _message_in(words))), None)


def _quoted(text: bytes) -> str:
    words = " ".join(text[: 4 * LONGEST_QUOTATION].decode("utf-8", "replace").split())
    return repr(words[:LONGEST_QUOTATION])

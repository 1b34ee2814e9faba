"""Answers as bytes: numbers with every digit, a content tag, the attribution that the providers ask for."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import ETag, web

from libs.sources.catalogue import SOURCES

ATTRIBUTED = [(name, source.attribution) for name, source in SOURCES.items() if source.attribution is not None]
ATTRIBUTION: list[dict[str, str]] = [{"source": name, "text": said.text, "url": said.url} for name, said in ATTRIBUTED]
"""What each body of data carries."""
ATTRIBUTION_HEADERS: Mapping[str, str] = {
    "Link": ", ".join(f'<{said.url}>; rel="author"; title="{said.text}"' for _, said in ATTRIBUTED),
    "X-Attribution": "; ".join(f"{said.text} ({said.url})" for _, said in ATTRIBUTED),
}


JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler found: a body that msgspec can encode, or bytes of another media type.

    `as_of` is added to a body that is of a moment, and is no part of its tag: it moves on while nothing changes.
    """

    body: Any
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON
    as_of: datetime | None = None


_encoder = msgspec.json.Encoder(decimal_format="number")
_SMALLEST_WRITTEN_OUT = "0.000001"


def number(stored: str | None) -> msgspec.Raw | None:
    """Return the JSON number with the digits that Postgres has, tiny ones as the providers write them (3.84e-18).

    NaN and the infinities, which JSON does not have, are null.
    """
    if stored is None:
        return None
    if stored < _SMALLEST_WRITTEN_OUT or stored[-1] > "9":  # as text: also negative ones and words; most amounts are neither
        return _unusual_number(Decimal(stored), stored)
    return msgspec.Raw(stored)


def _unusual_number(value: Decimal, stored: str) -> msgspec.Raw | None:
    if not value.is_finite():
        return None
    tiny = value and abs(value) < Decimal(_SMALLEST_WRITTEN_OUT)
    return msgspec.Raw(str(value).lower() if tiny else stored)


_payload_decoder = msgspec.json.Decoder(float_hook=number)


def payload(stored: str) -> Any:
    """Return a provider's row, from JSONB's text, ready to be encoded with its digits."""
    return _payload_decoder.decode(stored)


def encoded(body: object) -> bytes:
    """Return a body, or a part of one, as JSON."""
    return _encoder.encode(body)


def plain_response(answer: Answer) -> web.Response:
    """Render what is never cached."""
    headers = {**answer.headers, "Cache-Control": "no-store", "Content-Type": "application/json"}
    return web.Response(status=answer.status, body=encoded(answer.body), headers=headers)


def tagged_response(request: web.Request, answer: Answer) -> web.Response:
    """Render data: tagged by content, so that a caller who has it already gets 304 and no body.

    The tag of an answer with `as_of` is weak: two that have it differ in that.
    """
    body = encoded(answer.body) if answer.media == JSON else answer.body
    tag = b64encode(sha256(body).digest()[:12], b"-_").decode()
    written = f'"{tag}"' if answer.as_of is None else f'W/"{tag}"'
    headers = {**answer.headers, **ATTRIBUTION_HEADERS, "ETag": written, "Cache-Control": "no-cache"}
    if link := answer.headers.get("Link"):
        headers["Link"] = f"{link}, {ATTRIBUTION_HEADERS['Link']}"
    if answer.status == HTTPStatus.OK and _held_by_caller(request, tag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Type"] = answer.media
    if answer.as_of is not None:
        body = encoded(answer.body | {"as_of": answer.as_of})
    return web.Response(status=answer.status, body=body, headers=headers)


def _held_by_caller(request: web.Request, tag: str) -> bool:
    held: tuple[ETag, ...] | None = request.if_none_match if "If-None-Match" in request.headers else None
    return held is not None and any(one.value in {tag, "*"} for one in held)

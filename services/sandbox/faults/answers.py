"""How each fault looks on the wire."""

import asyncio
import socket
import struct
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from libs.process.clock import Clock
from services.sandbox.faults.drift import drifted
from services.sandbox.faults.plan import Fault, FaultKind, Provider
from services.sandbox.faults.poison import poisoned

FAULT: Final = web.RequestKey("fault", Fault)
"""The fault that a request has met; the routes apply those that change rows."""

_DUPLICATED_SHARE: Final = 10
"""One row in so many comes twice."""

_RATE_LIMITED = {
    "coingecko": '{"status":{"error_code":429,"error_message":"You\'ve exceeded the Rate Limit. (Sandbox: ordered fault.)"}}',
    "coinpaprika": '{"error":"too many requests (sandbox: ordered fault)"}',
    "binance": '{"code":-1003,"msg":"Too much request weight used. (Sandbox: ordered fault.)"}',
}
_PAYMENT_REQUIRED = '{"error": "Monthly quota exhausted, not allowed in this plan (sandbox: ordered fault)"}'
_HTML_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head><title>Access denied | sandbox used an ordered fault to restrict access</title></head>
<body><h1>Error 1015</h1><h2>You are being rate limited</h2><p>This page is made up by Kasparro's sandbox provider.</p></body>
</html>
"""


def answer_rows(request: web.Request, rows: list[str]) -> web.Response:
    """Answer a list of rows (JSON texts), spoilt as the request's fault wants."""
    fault = request.get(FAULT)
    return json_answer(_body(rows, fault.kind if fault else None, fault))


def json_answer(body: str | bytes, status: int = HTTPStatus.OK) -> web.Response:
    """Answer JSON that is already written."""
    written = body if isinstance(body, bytes) else body.encode()
    return web.Response(body=written, status=status, content_type="application/json", charset="utf-8")


def _body(rows: list[str], kind: FaultKind | None, fault: Fault | None) -> str:
    match kind:
        case FaultKind.WRONG_SHAPE:
            return f'{{"data":[{",".join(rows[:3])}],"status":"ok"}}'
        case FaultKind.ROWS_OF_STRINGS:
            rows = [f'"row {place}"' for place in range(len(rows))]
        case FaultKind.EMPTY:
            rows = []
        case FaultKind.HALF_THE_ROWS:
            rows = rows[: len(rows) // 2]
        case FaultKind.DUPLICATE_ROWS:
            rows = [*rows, *rows[::_DUPLICATED_SHARE]]
        case FaultKind.POISON if fault:
            rows = poisoned(rows, fault.poison)
        case FaultKind.DRIFT if fault:
            rows = drifted(rows, fault.drift)
    body = f"[{','.join(rows)}]"
    return body[: len(body) // 2] if kind is FaultKind.CUT_JSON else body


def refusal(fault: Fault, provider: Provider, clock: Clock) -> web.Response | None:
    """Return the answer that stands in the provider's place, if this fault has one."""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            answer = json_answer(_RATE_LIMITED[provider], HTTPStatus.TOO_MANY_REQUESTS)
        case FaultKind.RATE_LIMITED_HTML:
            answer = web.Response(text=_HTML_PAGE, status=HTTPStatus.TOO_MANY_REQUESTS, content_type="text/html")
        case FaultKind.PAYMENT_REQUIRED:
            return json_answer(_PAYMENT_REQUIRED, HTTPStatus.PAYMENT_REQUIRED)
        case FaultKind.SERVER_ERROR | FaultKind.HALF_THE_PAGES:
            return json_answer('{"error":"internal server error (sandbox: ordered fault)"}', fault.status)
        case _:
            return None
    if fault.retry_after_seconds is not None:
        at = clock.utc() + timedelta(seconds=fault.retry_after_seconds)
        as_date = fault.retry_after_form == "date"
        answer.headers["Retry-After"] = format_datetime(at, usegmt=True) if as_date else str(fault.retry_after_seconds)
    return answer


async def send_half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Promise the whole body, send half of it, and hang up."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
    half.content_length = len(body)
    half.force_close()
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def reset_connection(request: web.Request) -> None:
    """Make the client see `connection reset by peer`: closing with a linger of 0 sends RST in place of FIN."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def wait_if_slow(fault: Fault, clock: Clock) -> None:
    """Keep the client waiting, but not for ever."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.wait_for(clock.sleep(fault.seconds), timeout=fault.seconds + 60)

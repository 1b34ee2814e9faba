"""What happens around every request: an id, one shape for errors, one line in the log."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from secrets import token_hex

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.contextvars import bound_contextvars

from libs.contracts.trace_context import TRACERESPONSE
from libs.kafka.errors import KafkaUnreachableError
from libs.postgres.reading.acquiring import PostgresAwayError, PostgresNotMigratedError
from services.query.following import unreachable
from services.query.keys import MEASURES, TRACES
from services.query.measures import ABANDONED
from services.query.problems import NotMigratedError, PostgresUnavailableError, QueryError, problem_response

log = structlog.get_logger(__name__)

LARGEST_BODY = 16_384
"""No endpoint reads a body; one of this size is a mistake, not an attack."""
BODY_SECONDS = 5.0
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Server": "kasparro"}
_DETAILS = {
    HTTPStatus.BAD_REQUEST: "this is not a well-formed HTTP request",
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /docs lists what there is",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"a body may have {LARGEST_BODY} bytes; no endpoint here needs one",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_request_id() -> str:
    """Return 128 random bits: what is unique in a UUID, without the making of one."""
    return token_hex(16)


@web.middleware
async def around_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, whatever happens. No stack trace leaves; the log has it, with the request id."""
    started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _GIVEN_ID.fullmatch(given) else new_request_id()
    with bound_contextvars(request_id=request_id):
        return await _told_of(request, handler, request_id, started)


async def _told_of(request: web.Request, handler: Handler, request_id: str, started: float) -> web.StreamResponse:
    try:
        response = await _answered(request, handler, request_id)
    except asyncio.CancelledError:
        log.info("request_abandoned", method=request.method, path=request.path)
        _measure(request, ABANDONED, time.perf_counter() - started)
        raise
    response.headers["X-Request-Id"] = request_id
    response.headers.update(SAFE_HEADERS)
    traces = request.get(TRACES, ())
    if traces and len({trace.trace_id for trace in traces}) == 1:
        response.headers[TRACERESPONSE] = traces[-1].traceparent
    seconds = time.perf_counter() - started
    route = _measure(request, response.status, seconds)
    log.info(
        "request_answered",
        method=request.method,
        route=route,
        path=request.path,
        status=response.status,
        duration_ms=round(1000 * seconds, 2),
    )
    return response


def _measure(request: web.Request, status: int, seconds: float) -> str | None:
    """Count the request; return its route as declared, None when its path is none."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else None
    request.app[MEASURES].answered(request.method, route, status, seconds)
    return route


async def _answered(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        if request.body_exists:
            await _check_body(request)
        return await handler(request)
    except web.HTTPException as refusal:
        return _refused(refusal, request_id)
    except Exception as error:
        told = _told(error)
        if told is None:
            log.exception("request_failed", method=request.method, path=request.path)
            detail = "something here is broken; the log has it under this request id"
            return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail, request_id=request_id)
        if told is not error:
            log.debug("dependency_unavailable", code=told.code, error=str(error))
        return problem_response(
            told.status, told.code, told.detail, request_id=request_id, headers=told.headers, extra=told.extra
        )


async def _check_body(request: web.Request) -> None:
    """Refuse a large body before anything is done for it; one that comes in chunks says its size by ending."""
    if (request.content_length or 0) > LARGEST_BODY:
        raise web.HTTPRequestEntityTooLarge(LARGEST_BODY, request.content_length or 0)
    if request.content_length is None and request.can_read_body:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (web.RequestPayloadError, HttpProcessingError):
            raise web.HTTPBadRequest from None


def _told(error: Exception) -> QueryError | None:
    """Return the problem that an error is to the caller; None for a bug."""
    match error:
        case QueryError():
            return error
        case PostgresNotMigratedError():
            return NotMigratedError("Postgres lacks a table that this answer needs; run `kasparro migrate`")
        case PostgresAwayError():
            return PostgresUnavailableError("Postgres does not answer; try again shortly")
        case KafkaUnreachableError():
            return unreachable(error)
        case _:
            return None


def _refused(refusal: web.HTTPException, request_id: str) -> web.StreamResponse:
    status = HTTPStatus(refusal.status)
    headers = {name: refusal.headers[name] for name in ("Allow", "Location") if name in refusal.headers}
    if status < HTTPStatus.BAD_REQUEST:
        return web.Response(status=status, headers=headers)
    detail = _DETAILS.get(status, status.description or status.phrase)
    return problem_response(status, status.name.lower(), detail, request_id=request_id, headers=headers)

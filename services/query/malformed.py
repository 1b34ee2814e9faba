"""What is answered to bytes that are not a request: the shape of every other error, and nothing of the bytes.

aiohttp answers these before there is a request, so no middleware sees them; its own answer quotes them and names versions.
"""

from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from services.query.problems import problem_response
from services.query.requests import SAFE_HEADERS, new_request_id

log = structlog.get_logger(__name__)

LONGEST_LINE = 8_190
"""Bytes of a path with its query, and of a header."""
LARGEST_HEAD = 65_536
"""Bytes of a request's line and all of its headers."""

_DETAILS = {
    HTTPStatus.BAD_REQUEST: "this is not a well-formed HTTP request",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"a path with its query may have {LONGEST_LINE} bytes",
    HTTPStatus.EXPECTATION_FAILED: "an Expect header may ask for 100-continue",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"a header may have {LONGEST_LINE} bytes, all of them {LARGEST_HEAD}",
}


def answer_to(error: BaseException | None, status: int) -> web.Response:
    """Return the answer, which closes the connection. What is no nonsense is a bug, logged whole."""
    request_id = new_request_id()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", request_id=request_id, exc_info=error)
        detail = "something here is broken; the log has it under this request id"
        told = HTTPStatus.INTERNAL_SERVER_ERROR
    else:
        told = _status_of(error)
        detail = _DETAILS[told]
        log.info("malformed_request", request_id=request_id, status=int(told), error=type(error).__name__)
    code = "internal_error" if told == HTTPStatus.INTERNAL_SERVER_ERROR else told.name.lower()
    response = problem_response(told, code, detail, request_id=request_id, headers=SAFE_HEADERS)
    response.headers["X-Request-Id"] = request_id
    response.force_close()
    return response


def _status_of(error: BaseException | None) -> HTTPStatus:
    if isinstance(error, web.HTTPExpectationFailed):
        return HTTPStatus.EXPECTATION_FAILED
    if not isinstance(error, LineTooLong):
        return HTTPStatus.BAD_REQUEST
    in_path = isinstance(error.args[0], bytearray)  # the parser collects the path in one, headers in bytes
    return HTTPStatus.REQUEST_URI_TOO_LONG if in_path else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

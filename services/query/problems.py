"""Every way in which a request can fail, each with a stable code. They leave as application/problem+json (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from aiohttp import web

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_TYPE = "urn:kasparro:problem:"


class QueryError(Exception):
    """A request that cannot be answered as asked. `extra` goes into the body beside the detail."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class InvalidParameterError(QueryError):
    """A parameter is unknown, malformed or out of range; `parameter` names it."""

    status, code = HTTPStatus.BAD_REQUEST, "invalid_parameter"


class InvalidCursorError(QueryError):
    """The cursor was not made by this API, or for another sort or filter."""

    status, code = HTTPStatus.BAD_REQUEST, "invalid_cursor"


class AssetNotFoundError(QueryError):
    """No asset has this asset_uid."""

    status, code = HTTPStatus.NOT_FOUND, "asset_not_found"


class UnknownSourceError(QueryError):
    """There is no source of this name."""

    status, code = HTTPStatus.NOT_FOUND, "unknown_source"


class SourceNotRunningError(QueryError):
    """The source is an optional one that this installation does not run."""

    status, code = HTTPStatus.CONFLICT, "source_not_running"


class RecordNotFoundError(QueryError):
    """No raw row has this record_id; retention may have removed it."""

    status, code = HTTPStatus.NOT_FOUND, "record_not_found"


class RunNotFoundError(QueryError):
    """No run with this id is recorded."""

    status, code = HTTPStatus.NOT_FOUND, "run_not_found"


class UpgradeRequiredError(QueryError):
    """This path speaks WebSocket, and the request does not ask for it."""

    status, code = HTTPStatus.UPGRADE_REQUIRED, "upgrade_required"


class UnauthorizedError(QueryError):
    """The token is missing or wrong."""

    status, code = HTTPStatus.UNAUTHORIZED, "unauthorized"


class ForbiddenError(QueryError):
    """This API does not take POST requests as it is configured."""

    status, code = HTTPStatus.FORBIDDEN, "forbidden"


class ProviderFailedError(QueryError):
    """The run failed; `run` or `runs` in the body say why."""

    status, code = HTTPStatus.BAD_GATEWAY, "provider_failed"


class NotTakenError(QueryError):
    """No producer took the command in time; it may still be taken until it expires."""

    status, code = HTTPStatus.GATEWAY_TIMEOUT, "not_taken"


class UnavailableError(QueryError):
    """Something this answer needs is away; asking again can help."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, **extra)


class PostgresUnavailableError(UnavailableError):
    """Postgres is away."""

    code = "postgres_unavailable"


class NotMigratedError(UnavailableError):
    """Postgres answers, but its tables are older than this code."""

    code = "not_migrated"


class AssetsNotReadyError(UnavailableError):
    """The service has not read the assets from Postgres yet; it takes a moment after its start."""

    code = "assets_not_ready"


class KafkaUnavailableError(UnavailableError):
    """Kafka is away."""

    code = "kafka_unavailable"


class BusyError(UnavailableError):
    """As many requests wait for runs as this service allows."""

    code = "busy"


class StreamFullError(UnavailableError):
    """As many clients follow the stream as this service allows."""

    code = "stream_full"


class StreamNotReadyError(UnavailableError):
    """The service has not read all assets yet; it takes a moment after its start."""

    code = "stream_not_ready"


def all_problems(base: type[QueryError] = QueryError) -> Sequence[type[QueryError]]:
    """Return every kind of problem, for the documentation."""
    found = [kind for child in base.__subclasses__() for kind in (child, *all_problems(child))]
    return sorted(found, key=lambda kind: (kind.status, kind.code))


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> web.Response:
    """Return the one shape that errors have."""
    body = {
        "type": _TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        "request_id": request_id,
        **(extra or {}),
    }
    encoded = msgspec.json.encode(body)
    return web.Response(
        status=status, body=encoded, headers={**(headers or {}), "Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"}
    )

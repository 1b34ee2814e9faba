"""GET /health and /ready."""

import asyncio
from typing import Any

from aiohttp import web

from libs.postgres.reading.acquiring import Readers, reading
from libs.postgres.reading.runs import load_last_successes
from libs.postgres.schema import missing_migrations
from services.query.dependencies import PING_SECONDS, Seen
from services.query.endpoints import AnyParameters
from services.query.keys import CLOCK, HELD_ASSETS, KAFKA, LAST_SUCCESSES, POSTGRES, PROGRESS, READERS, SERVING, LastSuccesses
from services.query.problems import AssetsNotReadyError, NotMigratedError
from services.query.rendering import Answer

READY_SECONDS = 2.0


async def look_at_postgres(readers: Readers, last_successes: LastSuccesses) -> str | None:
    """Bring what is known of last successes up to date; return what keeps Postgres from being of use although it answers.

    The sources are those that are known of already: those that run.
    """
    async with reading(readers, acquire_seconds=PING_SECONDS) as connection:
        if missing := await missing_migrations(connection):
            return f"{len(missing)} migrations are missing; run `kasparro migrate`"
        last_successes.by_source.update(await load_last_successes(connection, list(last_successes.by_source)))
    return None


async def health(request: web.Request, _asked: AnyParameters) -> Answer:
    """Return that we serve, and what was last seen of everything else: nothing is asked now, so nothing can be slow."""
    app = request.app
    postgres, kafka = await asyncio.gather(app[POSTGRES].seen(), app[KAFKA].seen())
    serving, board = app[SERVING], app[PROGRESS]
    progress = board.of_all(board.lags)
    body = {
        "status": "ok" if _is_well(postgres) and _is_well(kafka) and progress.status != "stalled" else "degraded",
        "version": serving.version,
        "uptime_seconds": round(app[CLOCK].monotonic() - serving.started, 3),
        "sandbox": serving.sandbox,
        "dependencies": {"postgres": _seen(postgres), "kafka": _seen(kafka)},
        "normalizer": {
            "status": progress.status,
            "still_seconds": progress.still_seconds,
            "lag_messages": sum(lag.lag_messages for lag in board.lags) if board.lags else None,
        },
        "last_success": app[LAST_SUCCESSES].by_source,
    }
    return Answer(body)


async def ready(request: web.Request, _asked: AnyParameters) -> Answer:
    """Return once every answer can be given, and none has to wait for the first look at all assets."""
    async with reading(request.app[READERS], acquire_seconds=READY_SECONDS) as connection:
        missing = await missing_migrations(connection)
    if missing:
        raise NotMigratedError(f"Postgres lacks {', '.join(missing)}; run `kasparro migrate`", missing=missing)
    if (reason := request.app[HELD_ASSETS].awaited) is not None:
        raise AssetsNotReadyError(f"the assets have not been read since this service started: {reason}")
    return Answer({"status": "ready"})


def _is_well(seen: Seen) -> bool:
    return seen.up and seen.error is None


def _seen(seen: Seen) -> dict[str, Any]:
    return {"status": "up" if seen.up else "down", "since": seen.since, "error": seen.error}

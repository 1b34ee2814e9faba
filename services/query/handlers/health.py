"""GET /health and /ready."""

import asyncio
from datetime import datetime
from typing import Any

from aiohttp import web

from libs.postgres.pool import Pool
from libs.postgres.reading.acquiring import PostgresAwayError, reading
from libs.postgres.reading.runs import load_last_successes
from libs.postgres.schema import missing_migrations
from services.query.dependencies import PING_SECONDS, Seen
from services.query.endpoints import NoParameters
from services.query.keys import CLOCK, KAFKA, LAST_SUCCESSES, POOL, POSTGRES, SERVING
from services.query.problems import NotMigratedError
from services.query.rendering import Answer

READY_SECONDS = 2.0


async def ping_postgres(pool: Pool) -> None:
    """Return when Postgres has answered."""
    async with reading(pool, acquire_seconds=PING_SECONDS) as connection:
        await connection.execute("SELECT 1")


async def health(request: web.Request, _asked: NoParameters) -> Answer:
    """Return that we serve, and what we see of everything else."""
    app = request.app
    postgres, kafka = await asyncio.gather(app[POSTGRES].look(), app[KAFKA].look())
    if postgres.up:
        app[LAST_SUCCESSES].by_source.update(await _last_successes(app[POOL]))
    serving = app[SERVING]
    body = {
        "status": "ok" if postgres.up and kafka.up else "degraded",
        "version": serving.version,
        "uptime_seconds": round(app[CLOCK].monotonic() - serving.started, 3),
        "sandbox": serving.sandbox,
        "dependencies": {"postgres": _seen(postgres), "kafka": _seen(kafka)},
        "last_success": app[LAST_SUCCESSES].by_source,
    }
    return Answer(body)


async def ready(request: web.Request, _asked: NoParameters) -> Answer:
    """Return once every answer can be given."""
    async with reading(request.app[POOL], acquire_seconds=READY_SECONDS) as connection:
        missing = await missing_migrations(connection)
    if missing:
        raise NotMigratedError(f"Postgres lacks {', '.join(missing)}; run `kasparro migrate`", missing=missing)
    return Answer({"status": "ready"})


async def _last_successes(pool: Pool) -> dict[str, datetime | None]:
    """Nothing new when Postgres leaves between the ping and this, or is not migrated: health answers all the same."""
    try:
        async with asyncio.timeout(PING_SECONDS), reading(pool, acquire_seconds=PING_SECONDS) as connection:
            return await load_last_successes(connection)
    except (PostgresAwayError, TimeoutError):
        return {}


def _seen(seen: Seen) -> dict[str, Any]:
    return {"status": "up" if seen.up else "down", "since": seen.since, "error": seen.error}

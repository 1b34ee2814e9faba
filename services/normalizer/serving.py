"""The worker's own small HTTP server: GET /health and /ready."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from libs.process.addresses import urls_of
from services.normalizer.health import Health, Told

log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 1.0
LARGEST_BODY: Final = 1_024
"""Nobody has anything to send."""


@dataclass(frozen=True, slots=True)
class HealthAddress:
    """Where the health server listens."""

    host: str
    port: int


@asynccontextmanager
async def serving_health(health: Health, address: HealthAddress | None) -> AsyncIterator[None]:
    """Serve while the block runs; without an address, nothing. A port that is taken ends the process with one line."""
    if address is None:
        yield
        return
    app = web.Application(client_max_size=LARGEST_BODY)
    app.add_routes([web.get("/health", _answering(health, lambda told: told.live))])
    app.add_routes([web.get("/ready", _answering(health, lambda told: told.ready))])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, address)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: HealthAddress) -> None:
    try:
        await web.TCPSite(runner, address.host, address.port).start()
    except OSError as error:
        sys.exit(
            f"error: cannot listen on {address.host}:{address.port} for health ({error.strerror or error}); "
            "set NORMALIZER_HEALTH_PORT to a port of this worker's own, or to 0 for none"
        )
    log.info("health_served", addresses=urls_of(runner.addresses))


def _answering(health: Health, is_well: Callable[[Told], bool]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer 200 or 503 with the same body."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        told = health.told()
        status = HTTPStatus.OK if is_well(told) else HTTPStatus.SERVICE_UNAVAILABLE
        text = json.dumps(dict(told.body), indent=2)
        return web.Response(status=status, text=text, content_type="application/json", headers={"Cache-Control": "no-store"})

    return answer

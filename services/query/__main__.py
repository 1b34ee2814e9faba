"""The query service: serves data, runs, checkpoints and the documentation; turns POST /etl/… into commands.

It reads Postgres and follows etl.runs and etl.cursors; it writes commands and run requests, and no table. It starts and
answers /health while Postgres or Kafka is away. SIGTERM lets running requests finish for up to SHUTDOWN_SECONDS.
"""

import sys

import structlog
from aiohttp import web

from libs.contracts.topics import CURSORS
from libs.kafka.connection import KafkaConnection
from libs.kafka.lag import open_lag_reader
from libs.kafka.publishing import open_publisher
from libs.kafka.tailing import Start, open_tail
from libs.postgres.pool import open_pool
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.telemetry.logging import configure_logging
from services.query.access import Access
from services.query.app import Openers, create_app, until_a_follower_fails
from services.query.malformed import LONGEST_LINE, Runner
from services.query.settings import QuerySettings, is_loopback
from services.query.topics import DECLARED

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 5.0
KEEPALIVE_SECONDS = 30.0
"""Also what a client has to send its first request."""
STATEMENT_SECONDS = 10.0
PUBLISH_SECONDS = 5.0


def openers(settings: QuerySettings) -> Openers:
    """Say how to reach everything."""
    kafka = KafkaConnection(settings.kafka_bootstrap_servers, "kasparro-query")
    return Openers(
        pool=lambda: open_pool(
            settings.database_url.get_secret_value(),
            application="kasparro-query",
            connections=settings.query_connections,
            statement_seconds=STATEMENT_SECONDS,
            read_only=True,
        ),
        publisher=lambda: open_publisher(kafka, timeout_seconds=PUBLISH_SECONDS),
        lag=lambda: open_lag_reader(kafka),
        run_events=lambda: open_tail(kafka, DECLARED.run_events, start=Start.END),
        cursors=lambda: open_tail(kafka, CURSORS.name, start=Start.BEGINNING),
    )


async def serve(settings: QuerySettings) -> None:
    """Serve until cancelled."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    access = Access(token, open_to_all=settings.api_open, listens_here=is_loopback(settings.host))
    app = create_app(openers(settings), topics=DECLARED, access=access, clock=SystemClock(), sandbox=settings.sandbox)
    runner = Runner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,  # nobody waits for a run, or keeps a query busy, whose caller has gone
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=2.0,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    )
    await runner.setup()
    try:
        await _listen(runner, settings)
        await until_a_follower_fails(app)
    finally:
        await runner.cleanup()
        log.info("query_stopped")


async def _listen(runner: web.AppRunner, settings: QuerySettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1_024).start()
    except OSError as error:
        sys.exit(f"error: cannot listen on {settings.host}:{settings.port} ({error.strerror or error}); set HOST or PORT")
    log.info("query_started", address=[f"http://{host}:{port}" for host, port, *_ in runner.addresses], sandbox=settings.sandbox)


def main() -> None:
    """Run the process."""
    settings = read_settings(QuerySettings)
    configure_logging(settings.log_level, "query", style=settings.log_format)
    run_until_stopped(serve(settings))


if __name__ == "__main__":
    main()

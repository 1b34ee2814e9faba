"""The query service: serves data, runs, checkpoints and the documentation; turns POST /etl/… into commands.

It reads Postgres and follows etl.runs, etl.cursors and assets.normalized; it writes commands, run requests and incidents, and no
table. One of its replicas watches for incidents and tells Slack of them. It starts and answers /health while Postgres or Kafka is
away. SIGTERM ends the streams, and lets running requests finish for up to SHUTDOWN_SECONDS.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from aiohttp import web

from libs.alerting.findings import Limits
from libs.alerting.leading import IncidentWatch
from libs.alerting.webhook import open_webhook_if_any
from libs.contracts.topics import ASSETS_NORMALIZED, CURSORS, INCIDENTS
from libs.kafka import access as access_to_kafka
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.lag import open_lag_reader
from libs.kafka.publishing import open_publisher
from libs.kafka.tailing import Start, open_tail
from libs.postgres import access as access_to_postgres
from libs.postgres.pool import open_pool
from libs.process.access import admitted
from libs.process.addresses import urls_of
from libs.process.clock import Clock, SystemClock
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.process.version import installed_version
from libs.telemetry.logging import configure_logging
from libs.telemetry.tracing import opened_tracer
from services.query.access import Access
from services.query.app import Openers, create_app, until_a_follower_fails
from services.query.connections import Connections, Runner
from services.query.places import places_for
from services.query.settings import QuerySettings, is_loopback
from services.query.topics import DECLARED
from services.query.watching import Lookout

log = structlog.get_logger("services.query")

APPLICATION = "kasparro-query"
"""Who we are to the broker and to the database."""
SERVICE = "query"
"""Who we are in logs, metrics and traces."""
STATEMENT_SECONDS = 10.0
PUBLISH_SECONDS = 5.0


def openers(settings: QuerySettings, kafka: KafkaConnection) -> Openers:
    """Say how to reach everything."""

    @asynccontextmanager
    async def watch(lookout: Lookout) -> AsyncIterator[IncidentWatch]:
        async with open_webhook_if_any(settings.slack_webhook_url, lookout.clock) as webhook:
            limits = Limits(settings.alert_failed_runs, settings.alert_dead_letters, settings.alert_grace_seconds)
            yield IncidentWatch(
                kafka, lookout.look, limits, settings.alert_runbook_url, webhook, lookout.clock, topic=INCIDENTS.name
            )

    return Openers(
        pool=lambda: open_pool(
            settings.database_url.get_secret_value(),
            application=APPLICATION,
            connections=settings.query_connections,
            statement_seconds=STATEMENT_SECONDS,
            read_only=True,
        ),
        publisher=lambda: open_publisher(kafka, timeout_seconds=PUBLISH_SECONDS),
        lag=lambda: open_lag_reader(kafka),
        run_events=lambda: open_tail(kafka, DECLARED.run_events, start=Start.END),
        cursors=lambda: open_tail(kafka, CURSORS.name, start=Start.BEGINNING),
        incidents=lambda: open_tail(kafka, INCIDENTS.name, start=Start.BEGINNING),
        assets=lambda: open_tail(kafka, ASSETS_NORMALIZED.name, start=Start.BEGINNING),
        ends=lambda: open_end_probe(kafka),
        watch=watch,
    )


async def serve(settings: QuerySettings) -> None:
    """Serve until cancelled."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    access = Access(token, open_to_all=settings.api_open, listens_here=is_loopback(settings.host))
    places = places_for(settings.http_connections, settings.stream_clients)
    clock, kafka = SystemClock(), settings.kafka_connection(APPLICATION)
    async with opened_tracer(SERVICE, installed_version(), settings.otel_exporter_otlp_endpoint) as tracer:
        app = create_app(
            openers(settings, kafka),
            topics=DECLARED,
            access=access,
            clock=clock,
            sandbox=settings.sandbox,
            stalled_seconds=settings.normalizer_stalled_seconds,
            sources=settings.sources,
            tracer=tracer,
            stream_clients=places.streams,
        )
        await _serve(app, places.connections, settings, kafka, clock)


async def _serve(app: web.Application, connections: int, settings: QuerySettings, kafka: KafkaConnection, clock: Clock) -> None:
    runner = Runner(app, Connections(connections, clock))
    knocks = (
        partial(access_to_kafka.knock, kafka),
        partial(access_to_postgres.knock, settings.database_url.get_secret_value(), application=APPLICATION),
    )
    async with admitted(*knocks, clock=clock, goes_on=True):
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
    log.info("query_started", addresses=urls_of(runner.addresses), sandbox=settings.sandbox)


def main() -> None:
    """Run the process."""
    settings = read_settings(QuerySettings)
    configure_logging(settings.log_level, SERVICE, style=settings.log_format)
    run_until_stopped(serve(settings))


if __name__ == "__main__":
    main()

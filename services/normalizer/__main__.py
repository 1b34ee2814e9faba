"""The normalizer: raw ticks in; Postgres, canonical assets, dead letters and the ends of runs out.

A worker of the group `kasparro-normalizer`: start as many as there are partitions. A chunk of records is acknowledged
when Postgres and Kafka have everything that follows from it, so one that dies anywhere loses nothing. While Postgres or
Kafka is away it waits and keeps its partitions.
"""

from functools import partial
from typing import Final

from libs.contracts.topics import NORMALIZER_GROUP
from libs.kafka import access as kafka
from libs.postgres import access as postgres
from libs.process.access import admitted
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.process.version import installed_version
from libs.telemetry.logging import configure_logging
from libs.telemetry.meters import Meters
from libs.telemetry.serving import serving_health
from libs.telemetry.tracing import opened_tracer
from services.normalizer.health import Health
from services.normalizer.settings import NormalizerSettings
from services.normalizer.wiring import Limits, run_normalizer

APPLICATION: Final = "kasparro-normalizer"
"""Who we are to the broker and to the database."""
SERVICE: Final = "normalizer"
"""Who we are in logs and metrics."""


async def run(settings: NormalizerSettings) -> None:
    """Wire and run."""
    connection, database_url = settings.kafka_connection(APPLICATION), settings.database_url.get_secret_value()
    clock = SystemClock()
    limits = Limits(settings.chunk_records, settings.chunk_bytes, settings.retry_ceiling)
    knocks = (partial(kafka.knock, connection), partial(postgres.knock, database_url, application=APPLICATION))
    health = Health(clock, OutageBoard(clock), NORMALIZER_GROUP, settings.normalizer_stalled_seconds)
    meters = Meters(SERVICE, installed_version())
    async with (
        opened_tracer(SERVICE, installed_version(), settings.otel_exporter_otlp_endpoint) as tracer,
        serving_health(health.told, meters, settings.health_address),
        admitted(*knocks, clock=clock),
    ):
        await run_normalizer(
            *(connection, database_url, clock),
            limits=limits,
            keeping=settings.keeping,
            health=health,
            meters=meters,
            tracer=tracer,
        )


def main() -> None:
    """Run until SIGTERM or SIGINT; a bug ends the process with its traceback and a code that is not 0."""
    settings = read_settings(NormalizerSettings)
    configure_logging(settings.log_level, SERVICE, style=settings.log_format)
    run_until_stopped(run(settings))


if __name__ == "__main__":
    main()

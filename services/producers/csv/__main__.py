"""Publishes the rows of local files to ticks.raw.csv: takes poll commands, reads the files, skips what is published."""

from functools import partial

from libs.kafka.access import knock
from libs.process.access import admitted
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.producing.quota import Budget
from libs.producing.replica import Replica
from libs.producing.telling import opened_telling
from libs.producing.topics import topics_of
from libs.telemetry.logging import configure_logging
from services.producers.csv.fetcher import CsvFiles
from services.producers.csv.settings import CsvSettings

SERVICE = "producer-csv"


async def produce(settings: CsvSettings) -> None:
    """Wire the replica and run it. Nobody meters a file."""
    clock = SystemClock()
    connection = settings.kafka_connection(SERVICE)
    async with opened_telling(SERVICE, "csv", clock, settings.audience) as telling:
        replica = Replica(
            fetcher=CsvFiles(settings.csv_path, clock),
            connection=connection,
            topics=topics_of("csv"),
            budget=Budget(),
            interval=settings.schedule,
            clock=clock,
            telling=telling,
        )
        async with admitted(partial(knock, connection), clock=clock):
            await replica.run()


def main() -> None:
    """Run the process."""
    settings = read_settings(CsvSettings)
    configure_logging(settings.log_level, SERVICE, style=settings.log_format)
    run_until_stopped(produce(settings))


if __name__ == "__main__":
    main()

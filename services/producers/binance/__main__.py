"""Publishes Binance's 24-hour tickers to ticks.raw.binance: takes poll commands, fetches all, skips what is published."""

from functools import partial

from libs.kafka.access import knock
from libs.process.access import admitted
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.producing.provider import Provider, open_session
from libs.producing.replica import Replica
from libs.producing.telling import opened_telling
from libs.producing.topics import topics_of
from libs.telemetry.logging import configure_logging
from services.producers.binance.fetcher import Binance
from services.producers.binance.settings import BinanceSettings

SERVICE = "producer-binance"


async def produce(settings: BinanceSettings) -> None:
    """Wire the replica and run it."""
    clock = SystemClock()
    connection = settings.kafka_connection(SERVICE)
    async with (
        opened_telling(SERVICE, "binance", clock, settings.audience) as telling,
        open_session(settings.binance_base_url) as session,
    ):
        provider = Provider(
            name="Binance",
            base_url=settings.binance_base_url,
            base_url_variable="BINANCE_BASE_URL",
            key_variable=None,
            session=session,
            clock=clock,
            measures=telling.measures,
        )
        replica = Replica(
            fetcher=Binance(provider, settings.binance_quote_asset),
            connection=connection,
            topics=topics_of("binance"),
            budget=settings.budget,
            interval=settings.schedule,
            clock=clock,
            telling=telling,
        )
        async with admitted(partial(knock, connection), clock=clock):
            await replica.run()


def main() -> None:
    """Run the process."""
    settings = read_settings(BinanceSettings)
    configure_logging(settings.log_level, SERVICE, style=settings.log_format)
    run_until_stopped(produce(settings))


if __name__ == "__main__":
    main()

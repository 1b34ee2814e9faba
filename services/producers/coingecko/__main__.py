"""Publishes CoinGecko's market list to ticks.raw.coingecko: takes poll commands, fetches pages, skips what is published."""

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
from services.producers.coingecko.fetcher import CoinGecko
from services.producers.coingecko.settings import CoinGeckoSettings

SERVICE = "producer-coingecko"


async def produce(settings: CoinGeckoSettings) -> None:
    """Wire the replica and run it."""
    clock = SystemClock()
    connection = settings.kafka_connection(SERVICE)
    async with (
        opened_telling(SERVICE, "coingecko", clock, settings.audience) as telling,
        open_session(settings.base_url) as session,
    ):
        provider = Provider(
            name="CoinGecko",
            base_url=settings.base_url,
            base_url_variable="COINGECKO_BASE_URL",
            key_variable="CGEKO_KEY",
            session=session,
            clock=clock,
            key_headers=settings.key_headers,
            measures=telling.measures,
        )
        replica = Replica(
            fetcher=CoinGecko(provider, settings.coingecko_top_n),
            connection=connection,
            topics=topics_of("coingecko"),
            budget=settings.budget,
            interval=settings.schedule,
            clock=clock,
            telling=telling,
        )
        async with admitted(partial(knock, connection), clock=clock):
            await replica.run()


def main() -> None:
    """Run the process."""
    settings = read_settings(CoinGeckoSettings)
    configure_logging(settings.log_level, SERVICE, style=settings.log_format)
    run_until_stopped(produce(settings))


if __name__ == "__main__":
    main()

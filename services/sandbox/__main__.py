"""The sandbox provider: a stand-in for CoinGecko and CoinPaprika, same URLs and shapes, made-up numbers.

It needs no network, no Kafka and no database, keeps nothing on disk, and says on every answer that it is made up.
"""

import asyncio
import sys

import structlog
from aiohttp import web

from libs.process.addresses import urls_of
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from libs.process.shutdown import run_until_stopped
from libs.telemetry.logging import configure_logging
from services.sandbox.app import create_app
from services.sandbox.market.market import Market
from services.sandbox.settings import SandboxProviderSettings
from services.sandbox.steps import Steps

SHUTDOWN_SECONDS = 2.0
"""How long a slow answer may hold up the end."""

log = structlog.get_logger("services.sandbox")


async def serve(settings: SandboxProviderSettings) -> None:
    """Answer until cancelled."""
    market = Market(
        settings.sandbox_seed,
        coingecko_listings=settings.sandbox_coingecko_listings,
        coinpaprika_listings=settings.sandbox_coinpaprika_listings,
        step_seconds=settings.sandbox_step_seconds,
        change_share=settings.sandbox_change_share,
    )
    key = settings.sandbox_require_key
    app = create_app(
        market,
        steps=Steps(settings.sandbox_step_seconds, SystemClock(), settings.sandbox_step),
        faults=settings.sandbox_faults,
        required_key=key.get_secret_value() if key else None,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        log.info("sandbox_started", addresses=urls_of(runner.addresses))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = read_settings(SandboxProviderSettings)
    configure_logging(settings.log_level, "sandbox", style=settings.log_format)
    try:
        run_until_stopped(serve(settings))
    except OSError as error:
        print(f"error: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; set PORT", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

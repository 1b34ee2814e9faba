"""What an operator may change about the Binance producer."""

from typing import Literal

from pydantic import Field

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import LogSettings, ScheduleSettings
from libs.producing.quota import Budget
from libs.producing.settings import TellingSettings

MARKET_DATA_HOST = "https://data-api.binance.vision/api/v3"
"""Binance's host for public market data: no key, and nothing that trades."""
WEIGHT_PER_MINUTE = 6_000
"""What Binance allows an address, of all its programs together."""
TICKERS_WEIGHT = 80
"""What one request for every pair costs of it; the producer sends no other kind."""


class BinanceSettings(LogSettings, KafkaSettings, ScheduleSettings, TellingSettings):
    """The Binance producer's environment."""

    binance_base_url: str = Field(
        MARKET_DATA_HOST, description="A server with Binance's paths and shapes, up to /api/v3", pattern=r"^https?://\S+$"
    )
    binance_quote_asset: Literal["USDT", "USDC", "FDUSD"] = Field(
        "USDT", description="Pairs in this stablecoin are published, its price taken for a dollar"
    )
    binance_requests_per_minute: int = Field(
        WEIGHT_PER_MINUTE // TICKERS_WEIGHT,
        description="Most requests a minute, each of weight 80 of the 6,000 that Binance allows an address",
        ge=1,
    )

    @property
    def budget(self) -> Budget:
        """What may be asked. Every request weighs the same, so counting requests counts the weight."""
        return Budget(self.binance_requests_per_minute)

"""What an operator may change about the CoinPaprika producer."""

from pydantic import Field, SecretStr

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import LogSettings, ScheduleSettings
from libs.producing.quota import Budget
from libs.producing.settings import TellingSettings

FREE_HOST = "https://api.coinpaprika.com/v1"
PRO_HOST = "https://api-pro.coinpaprika.com/v1"
FREE_MONTH = 20_000
"""Requests of the free plan; the paid ones have 200,000 and more, and say so in the settings."""
STARTER_MONTH = 200_000


class CoinPaprikaSettings(LogSettings, KafkaSettings, ScheduleSettings, TellingSettings):
    """The CoinPaprika producer's environment."""

    coinpaprika_api_key: SecretStr | None = Field(None, description="API key of a paid plan; without it the free host is asked")
    coinpaprika_base_url: str | None = Field(
        None, description="A server with CoinPaprika's paths and shapes, in its own host's place", pattern=r"^https?://\S+$"
    )
    coinpaprika_requests_per_minute: int = Field(60, description="Most requests a minute", ge=1)
    coinpaprika_requests_per_month: int | None = Field(
        None, description="Left out: 20,000 without a key, 200,000 (the smallest paid plan) with one", ge=1
    )

    @property
    def base_url(self) -> str:
        """Where to ask."""
        return self.coinpaprika_base_url or (PRO_HOST if self.coinpaprika_api_key else FREE_HOST)

    @property
    def key_headers(self) -> dict[str, SecretStr]:
        """How to show the key."""
        return {"Authorization": self.coinpaprika_api_key} if self.coinpaprika_api_key else {}

    @property
    def budget(self) -> Budget:
        """What may be asked."""
        of_plan = STARTER_MONTH if self.coinpaprika_api_key else FREE_MONTH
        return Budget(self.coinpaprika_requests_per_minute, self.coinpaprika_requests_per_month or of_plan)

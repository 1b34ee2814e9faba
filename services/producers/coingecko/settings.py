"""What an operator may change about the CoinGecko producer."""

from enum import StrEnum

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import LogSettings, ScheduleSettings
from libs.producing.quota import Budget
from libs.producing.settings import TellingSettings


class Plan(StrEnum):
    """What CoinGecko sells; each has its own host, header and budget."""

    KEYLESS = "keyless"
    DEMO = "demo"
    PRO = "pro"


PLAN_BUDGETS = {
    # CoinGecko promises 5 to 15 a minute without a key, by load: the least that it promises is never refused.
    Plan.KEYLESS: Budget(per_minute=5),
    Plan.DEMO: Budget(per_minute=30, per_month=10_000),
    # The smallest paid plan; larger ones say so in the settings. Months are sold in many sizes.
    Plan.PRO: Budget(per_minute=250),
}
PLAN_HOSTS = {
    Plan.KEYLESS: "https://api.coingecko.com/api/v3",
    Plan.DEMO: "https://api.coingecko.com/api/v3",
    Plan.PRO: "https://pro-api.coingecko.com/api/v3",
}
PLAN_HEADERS = {Plan.DEMO: "x-cg-demo-api-key", Plan.PRO: "x-cg-pro-api-key"}


class CoinGeckoSettings(LogSettings, KafkaSettings, ScheduleSettings, TellingSettings):
    """The CoinGecko producer's environment."""

    coingecko_top_n: int = Field(
        100,
        description="Coins to fetch, by market cap, in pages of 250; a number larger than CoinGecko's list fetches all of it",
        ge=1,
        le=25_000,
    )
    cgeko_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("CGEKO_KEY", "COINGECKO_API_KEY"),
        description="API key; COINGECKO_API_KEY is the same",
    )
    coingecko_plan: Plan | None = Field(
        None, description="keyless, demo or pro; left out: demo with a key, keyless without", validate_default=True
    )
    coingecko_base_url: str | None = Field(
        None, description="A server with CoinGecko's paths and shapes, in the plan's own host's place", pattern=r"^https?://\S+$"
    )
    coingecko_requests_per_minute: int | None = Field(None, description="Left out: the plan's (5, 30 or 250)", ge=1)
    coingecko_requests_per_month: int | None = Field(None, description="Left out: the plan's (10,000 for demo)", ge=1)

    @field_validator("coingecko_plan")
    @classmethod
    def _plan_fits_key(cls, plan: Plan | None, info: ValidationInfo) -> Plan:
        has_key = bool(info.data.get("cgeko_key"))
        if plan is None:
            return Plan.DEMO if has_key else Plan.KEYLESS
        if plan in PLAN_HEADERS and not has_key:
            raise ValueError(f"the {plan.value} plan needs a key: set CGEKO_KEY")
        return plan

    @property
    def plan(self) -> Plan:
        """The plan, chosen or concluded."""
        return self.coingecko_plan or Plan.KEYLESS

    @property
    def base_url(self) -> str:
        """Where to ask."""
        return self.coingecko_base_url or PLAN_HOSTS[self.plan]

    @property
    def key_headers(self) -> dict[str, SecretStr]:
        """How to show the key."""
        header = PLAN_HEADERS.get(self.plan)
        return {header: self.cgeko_key} if header and self.cgeko_key else {}

    @property
    def budget(self) -> Budget:
        """What may be asked."""
        of_plan = PLAN_BUDGETS[self.plan]
        return Budget(
            per_minute=self.coingecko_requests_per_minute or of_plan.per_minute,
            per_month=self.coingecko_requests_per_month or of_plan.per_month,
        )

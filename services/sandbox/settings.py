"""What an operator may change about the sandbox provider."""

from pydantic import Field, Json, SecretStr

from libs.process.settings import LogSettings
from services.sandbox.faults.plan import Fault


class SandboxProviderSettings(LogSettings):
    """Where it listens, how large its market is, and what goes wrong in it."""

    host: str = Field("127.0.0.1", description="Address that the sandbox provider listens on", min_length=1)
    port: int = Field(8090, description="Port of the sandbox provider; 0 takes a free one", ge=0, le=65535)
    sandbox_seed: int = Field(1, description="The same seed and step give the same bytes")
    sandbox_step_seconds: int = Field(60, description="How often the sandbox's market moves", ge=1, le=86_400)
    sandbox_step: int | None = Field(
        None, description="Hold the sandbox's time at this step; left out: the wall clock", ge=0, le=10**9
    )
    sandbox_coingecko_listings: int = Field(1_000, description="Coins on the sandbox's CoinGecko", ge=1, le=20_000)
    sandbox_coinpaprika_listings: int = Field(2_500, description="Tickers on the sandbox's CoinPaprika", ge=1, le=20_000)
    sandbox_change_share: float = Field(1 / 3, description="Share of the listings that change at each step", ge=0, le=1)
    sandbox_faults: Json[tuple[Fault, ...]] = Field(
        (), validate_default=False, description="Faults from the start: a JSON list as POST /__faults takes it"
    )
    sandbox_require_key: SecretStr | None = Field(None, description="Refuse requests without this API key")

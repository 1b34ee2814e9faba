"""What an operator may change about the normalizer."""

from datetime import timedelta

from pydantic import Field, PositiveInt, field_validator, model_validator

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import LogSettings, PostgresSettings, ProgressSettings, TracingSettings
from libs.telemetry.serving import HealthAddress
from services.normalizer.keeping import COMES_AGAIN, TOPICS_KEEP, Keeping


class NormalizerSettings(KafkaSettings, PostgresSettings, ProgressSettings, LogSettings, TracingSettings):
    """Where it reads and writes, and how much at a time."""

    chunk_records: PositiveInt = Field(5_000, description="Most records that the normalizer stores in one transaction")
    chunk_bytes: PositiveInt = Field(
        8_388_608, description="Most bytes of records in one transaction, unless one record has more"
    )
    retry_ceiling_seconds: float = Field(
        10.0, description="Longest wait in seconds between tries while Postgres or Kafka is away", gt=0
    )

    raw_retention_days: int = Field(
        30, description="Days that raw rows are kept, by the time they were fetched; 0: for ever", ge=0, le=36_500
    )

    history_retention_days: int = Field(
        90,
        description="Days that ticks are kept in the history, by event time; 1m and 5m candles go with them",
        ge=COMES_AGAIN.days + 1,  # fewer, and the keys of each day would have to be remembered when its rows go
        le=3_650,
    )
    candle_retention_days: int = Field(
        0,
        description="Days that candles of an hour, and so of a day, are kept, by event time; 0: for ever",
        ge=0,
        le=36_500,
    )

    normalizer_health_host: str = Field(
        "127.0.0.1", description="Address that the normalizer's GET /health, /ready and /metrics listen on"
    )
    normalizer_health_port: int = Field(
        8081, description="Port of the same, another for each worker on a machine; 0: none", ge=0, le=65_535
    )

    @field_validator("raw_retention_days")
    @classmethod
    def _longer_than_the_topics(cls, days: int) -> int:
        if days and timedelta(days=days) <= TOPICS_KEEP:
            raise ValueError(
                f"must be 0 (for ever) or more than {TOPICS_KEEP.days}: the raw topics keep ticks for so many days, and a replay "
                "would store again what had been deleted"
            )
        return days

    @model_validator(mode="after")
    def _candles_outlive_their_ticks(self) -> "NormalizerSettings":
        if 0 < self.candle_retention_days < self.history_retention_days:
            raise ValueError("CANDLE_RETENTION_DAYS must be 0 (for ever) or at least HISTORY_RETENTION_DAYS")
        return self

    @property
    def keeping(self) -> Keeping:
        """What is kept for how long."""
        raw, candles = (timedelta(days=days) if days else None for days in (self.raw_retention_days, self.candle_retention_days))
        return Keeping(raw, timedelta(days=self.history_retention_days), candles)

    @property
    def retry_ceiling(self) -> timedelta:
        """The same as a duration."""
        return timedelta(seconds=self.retry_ceiling_seconds)

    @property
    def health_address(self) -> HealthAddress | None:
        """Where health is served; None for nowhere."""
        if not self.normalizer_health_port:
            return None
        return HealthAddress(self.normalizer_health_host, self.normalizer_health_port, "NORMALIZER_HEALTH_PORT")

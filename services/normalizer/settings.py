"""What an operator may change about the normalizer."""

from datetime import timedelta

from pydantic import Field, PositiveInt

from libs.process.settings import KafkaSettings, LogSettings, PostgresSettings


class NormalizerSettings(KafkaSettings, PostgresSettings, LogSettings):
    """Where it reads and writes, and how much at a time."""

    chunk_records: PositiveInt = Field(5_000, description="Most records that the normalizer stores in one transaction")
    chunk_bytes: PositiveInt = Field(
        8_388_608, description="Most bytes of records in one transaction, unless one record has more"
    )
    retry_ceiling_seconds: float = Field(
        10.0, description="Longest wait in seconds between tries while Postgres or Kafka is away", gt=0
    )

    @property
    def retry_ceiling(self) -> timedelta:
        """The same as a duration."""
        return timedelta(seconds=self.retry_ceiling_seconds)

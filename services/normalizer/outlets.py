"""Where the normalizer's results go, with outages waited out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from libs.kafka import errors as kafka_errors
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record as Outgoing
from libs.postgres import errors as postgres_errors
from libs.postgres.pool import Pool
from libs.process.clock import Clock
from libs.process.outages import OutageBoard, wait_out
from libs.telemetry.tracing import UNRECORDED, Tracer
from services.normalizer.measures import Measures
from services.normalizer.unapplied import Unapplied

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where results go: the database, and Kafka by the names of two topics."""

    pool: Pool
    publisher: Publisher
    assets_topic: str
    dead_letters_topic: str
    clock: Clock
    retry_ceiling: timedelta
    board: OutageBoard
    """Tells the worker's health what is being waited for."""
    measures: Measures
    tracer: Tracer = UNRECORDED
    unapplied: Unapplied = field(default_factory=Unapplied)

    async def through_postgres(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Wait out what waiting helps."""
        return await wait_out(
            attempt,
            postgres_errors.is_outage,
            dependency="postgres",
            clock=self.clock,
            ceiling=self.retry_ceiling,
            board=self.board,
        )

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return once Kafka has them all, however long it is away."""
        await self.through_kafka(lambda: self.publisher.publish(records))

    async def through_kafka(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Wait out what waiting helps."""
        return await wait_out(
            attempt,
            kafka_errors.is_outage,
            dependency="kafka",
            clock=self.clock,
            ceiling=self.retry_ceiling,
            board=self.board,
        )

"""The checkpoints of a group as Kafka holds them, and waiting for the topics it needs."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient

from libs.kafka.clients import close_admin
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError, telling_outages
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

READ_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.2
SAY_FIRST_SECONDS: Final = 1.0
SAY_AGAIN_SECONDS: Final = 30.0


class TopicsMissingError(KafkaUnreachableError):
    """A topic is not there yet; somebody runs `kasparro topics`, so waiting helps."""


class Checkpoints:
    """Reads the committed offsets of one group; connects on the first question, and again after an outage."""

    def __init__(self, connection: KafkaConnection, group: str) -> None:
        self._connection = connection
        self._group = group
        self._admin: AIOKafkaAdminClient | None = None

    async def committed(self) -> Mapping[tuple[str, int], int]:
        """Return (topic, partition) -> the offset a restart begins at. Raises KafkaUnreachableError."""
        try:
            with telling_outages():
                async with asyncio.timeout(READ_SECONDS):
                    admin = await self._opened()
                    held = await admin.list_consumer_group_offsets(self._group)
        except BaseException:
            await self.close()
            raise
        return {(place.topic, place.partition): found.offset for place, found in held.items() if found.offset >= 0}

    async def require(self, topics: Sequence[str]) -> None:
        """Return when all topics exist and the group has its coordinator. Raises TopicsMissingError or KafkaUnreachableError."""
        try:
            with telling_outages():
                async with asyncio.timeout(READ_SECONDS):
                    admin = await self._opened()
                    missing = sorted(set(topics) - set(await admin.list_topics()))
                    # A broker that has just started has no coordinator yet; joining the group now would fail aloud.
                    await admin.list_consumer_group_offsets(self._group)
        except BaseException:
            await self.close()
            raise
        if missing:
            raise TopicsMissingError(f"missing topics (kasparro topics): {', '.join(missing)}")

    async def close(self) -> None:
        """Leave; the next question connects again."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await close_admin(admin)

    async def _opened(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            admin = AIOKafkaAdminClient(**self._connection.options())
            try:
                await admin.start()
            except BaseException:
                await close_admin(admin)
                raise
            self._admin = admin
        return self._admin


@asynccontextmanager
async def open_checkpoints(connection: KafkaConnection, group: str) -> AsyncIterator[Checkpoints]:
    """Open a reader of the group's checkpoints."""
    checkpoints = Checkpoints(connection, group)
    try:
        yield checkpoints
    finally:
        await checkpoints.close()


async def wait_until_ready(checkpoints: Checkpoints, topics: Sequence[str], clock: Clock) -> None:
    """Return once the broker answers and has the topics; says so while it does not."""
    began = clock.monotonic()
    say_at = began + SAY_FIRST_SECONDS
    while True:
        try:
            await checkpoints.require(topics)
        except KafkaUnreachableError as error:
            if clock.monotonic() >= say_at:
                log.warning("kafka_awaited", error=str(error), seconds=round(clock.monotonic() - began, 1))
                say_at = clock.monotonic() + SAY_AGAIN_SECONDS
            await clock.sleep(LOOK_AGAIN_SECONDS)
        else:
            log.info("kafka_ready", seconds=round(clock.monotonic() - began, 1))
            return

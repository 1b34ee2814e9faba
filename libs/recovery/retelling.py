"""Telling subscribers what the table says: assets.normalized is compared with it, key by key, and what differs is published.

For after a rebuild, where assets may be gone that the topic still holds: a tombstone tells of each. Whoever publishes at
the same time does no harm: who has published looks at the table again, as the normalizer does, and publishes what overtook
it. Either the other one commits after that look, and publishes later still; or this one sees its version, and publishes it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import msgspec

from libs.contracts.asset import encode_asset
from libs.kafka import errors as kafka_errors
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.kafka.sweeping import sweep
from libs.postgres import errors as postgres_errors
from libs.postgres.pool import Pool
from libs.postgres.writing.assets import find_overtaken, load_current
from libs.postgres.writing.rebuilding import load_versions
from libs.process.clock import Clock
from libs.process.outages import wait_out

AT_ONCE: Final = 1_000
"""Assets loaded and published at a time."""

RETRY_CEILING: Final = timedelta(seconds=5)

UNREADABLE: Final = -1
"""The version of what is no asset; no version of ours is as low, so it is replaced."""

Result = TypeVar("Result")


class _Version(msgspec.Struct):
    version: int


_decoder = msgspec.json.Decoder(_Version)


@dataclass(frozen=True, slots=True)
class Told:
    """How many records assets.normalized was told: assets as they stand, and tombstones."""

    assets: int = 0
    tombstones: int = 0

    def __add__(self, other: "Told") -> "Told":
        return Told(self.assets + other.assets, self.tombstones + other.tombstones)


@dataclass(frozen=True, slots=True)
class Retelling:
    """What it takes to bring `topic` to what the table says. Waits outages of both out, and says so in its log."""

    connection: KafkaConnection
    pool: Pool
    publisher: Publisher
    topic: str
    clock: Clock

    async def tell(self) -> Told:
        """Publish what differs; done when the topic says of every asset what the table said, or something newer."""
        published = await self._published()
        versions = await self._asked(partial(load_versions, self.pool))
        differing = {uid for uid, version in versions.items() if published.get(uid) != version}
        orphans = {uid for uid, version in published.items() if version is not None and uid not in versions}
        pending = sorted(differing | orphans)
        told = Told()
        for first in range(0, len(pending), AT_ONCE):
            told += await self._publish(pending[first : first + AT_ONCE])
        return told

    async def _published(self) -> dict[str, int | None]:
        """Return the version that the topic holds of each key, None after a tombstone."""
        held: dict[str, int | None] = {}
        async for records in sweep(self.connection, self.topic):
            held |= {uid: _version(record.value) for record in records if (uid := _uid(record.key)) is not None}
        return held

    async def _publish(self, asset_uids: Sequence[str]) -> Told:
        told, pending = Told(), asset_uids
        while pending:
            current = await self._asked(partial(load_current, self.pool, pending))
            sent: dict[str, int | None] = dict.fromkeys(pending) | {one.asset.asset_uid: one.version for one in current}
            gone = [uid for uid, version in sent.items() if version is None]
            records = [Record(self.topic, one.asset.asset_uid.encode(), encode_asset(one.asset, one.version)) for one in current]
            records += [Record(self.topic, uid.encode(), None) for uid in gone]
            await wait_out(
                partial(self.publisher.publish, records),
                kafka_errors.is_outage,
                dependency="kafka",
                clock=self.clock,
                ceiling=RETRY_CEILING,
            )
            told += Told(len(current), len(gone))
            pending = list(await self._asked(partial(find_overtaken, self.pool, sent)))
        return told

    async def _asked(self, question: Callable[[], Awaitable[Result]]) -> Result:
        return await wait_out(question, postgres_errors.is_outage, dependency="postgres", clock=self.clock, ceiling=RETRY_CEILING)


def _uid(key: bytes | None) -> str | None:
    """Return the key as an asset_uid; None for what can be none, which somebody else has put there."""
    try:
        uid = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return uid if uid and "\0" not in uid else None


def _version(value: bytes | None) -> int | None:
    if value is None:
        return None
    try:
        return _decoder.decode(value).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNREADABLE

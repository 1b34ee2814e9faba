"""Reading a topic once, from its oldest record to where it ends now, in memory that does not grow with the topic."""

import time
from collections.abc import AsyncIterator
from typing import Final

from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.tailing import Start, TopicRecord, open_tail

STALL_SECONDS: Final = 90.0
"""Longer than a transaction may be open: readers of committed records wait behind one."""
READ_SECONDS: Final = 0.5


async def sweep(
    connection: KafkaConnection, topic: str, *, stall_seconds: float = STALL_SECONDS
) -> AsyncIterator[list[TopicRecord]]:
    """Yield every committed record that the topic holds now, in order a partition; what is published meanwhile is left out.

    Waits short outages out. Raises KafkaUnreachableError when nothing moves for `stall_seconds`.
    """
    async with open_end_probe(connection) as probe, open_tail(connection, topic, start=Start.BEGINNING) as tail:
        ends = await probe.ends(topic)
        seen, moved_at = dict(tail.positions), time.monotonic()
        while not tail.ready.is_set() or any(tail.positions.get(partition, 0) < end for partition, end in ends.items()):
            records = [one for one in await tail.read(READ_SECONDS) if one.offset < ends.get(one.partition, 0)]
            if records:
                yield records
            if tail.positions != seen:
                seen, moved_at = dict(tail.positions), time.monotonic()
            elif time.monotonic() - moved_at > stall_seconds:
                raise KafkaUnreachableError(f"{topic} could not be read to its end: nothing moved for {stall_seconds:g} s")

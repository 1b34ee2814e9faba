"""The common work in Quix Streams with a batching sink of one's own. Runs in an environment of its own.

Its own PostgreSQL sink writes a row at a time into a table it makes itself; this one writes what the other peers write. A
checkpoint, which flushes the sink and then commits the offsets, comes every CHUNK_RECORDS messages.
"""

import asyncio
import os
from typing import Any

import asyncpg
from quixstreams import Application
from quixstreams.sinks.base import BatchingSink, SinkBatch

from benchmarks.peers.messages import TICK
from benchmarks.peers.storing import store


class Sink(BatchingSink):
    """Writes each partition's batch in a transaction; Quix is synchronous, so the loop runs for as long as that takes."""

    def setup(self) -> None:
        """Connect."""
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(os.environ["DATABASE_URL"]))

    def write(self, batch: SinkBatch) -> None:
        """Store a batch."""
        ticks = [TICK.decode(item.value) for item in batch]
        self._loop.run_until_complete(store(self._connection, ticks))


def main() -> None:
    """Work until terminated."""
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCHMARK_GROUP"],
        auto_offset_reset="earliest",
        commit_every=int(os.environ["CHUNK_RECORDS"]),
        commit_interval=1.0,
        consumer_poll_timeout=0.2,
        consumer_extra_config={"isolation.level": "read_committed", "max.partition.fetch.bytes": 2_097_152},
        auto_create_topics=False,
        loglevel="WARNING",
    )
    topic: Any = app.topic(os.environ["BENCHMARK_TOPIC"], key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(topic).sink(Sink())
    app.run()


if __name__ == "__main__":
    main()

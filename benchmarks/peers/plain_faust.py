"""The common work as Faust's own documentation would have it: an agent, `take` for batches, Faust's acknowledgements."""

import os
import tempfile

import asyncpg
import faust
from yarl import URL

from benchmarks.peers.messages import TICK
from benchmarks.peers.storing import store

BATCH = int(os.environ["CHUNK_RECORDS"])
LONGEST_WAIT_SECONDS = 0.1

app = faust.App(
    os.environ["BENCHMARK_GROUP"],
    broker=[URL(f"kafka://{server}") for server in os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(",")],
    store="memory://",
    datadir=tempfile.mkdtemp(),
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    consumer_auto_offset_reset="earliest",
    stream_buffer_maxsize=2 * BATCH,  # the default of 4,096 would never fill a batch
    broker_max_poll_records=BATCH,
)
ticks = app.topic(os.environ["BENCHMARK_TOPIC"], key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


@app.agent(ticks)
async def normalize(stream: faust.StreamT[bytes]) -> None:
    """Store batch after batch."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    async for batch in stream.take(BATCH, within=LONGEST_WAIT_SECONDS):
        await store(connection, [TICK.decode(value) for value in batch])


if __name__ == "__main__":
    app.main()

"""The common work in Bytewax: its Kafka source, a sink of one's own, its recovery store. Runs in an environment of its own.

It has no sink for Postgres. Offsets are Bytewax's, not Kafka's: at the end of an epoch, once the sink has taken all that came in
it, they go into its recovery store (SQLite), from which a restart resumes. Tuned: batches of CHUNK_RECORDS, which a stateless
sink gets as the source made them (`collect` would key and pickle each tick); an epoch a second, as Quix's checkpoints, in
place of ten; fetches of 2 MiB.
"""

import asyncio
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from bytewax import operators
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.messages import TICK
from benchmarks.peers.storing import store

EPOCH = timedelta(seconds=1)


class Writer(StatelessSinkPartition[Any]):
    """Writes a batch in a transaction; Bytewax is synchronous, so the loop runs for as long as that takes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(os.environ["DATABASE_URL"]))

    def write_batch(self, items: list[Any]) -> None:
        """Store a batch."""
        self._loop.run_until_complete(store(self._connection, [TICK.decode(item.value) for item in items]))


class Sink(DynamicSink[Any]):
    """One writer a worker."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Writer:  # noqa: ARG002 - Bytewax's signature
        """Connect."""
        return Writer()


def recovery() -> RecoveryConfig:
    """Return where the offsets of this group are kept, so that one who is started again finds them."""
    folder = Path(tempfile.gettempdir(), f"bytewax-{os.environ['BENCHMARK_GROUP']}")
    if not folder.exists():
        folder.mkdir()
        init_db_dir(folder, 1)
    return RecoveryConfig(folder)


def main() -> None:
    """Work until terminated."""
    source = KafkaSource(
        os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        [os.environ["BENCHMARK_TOPIC"]],
        batch_size=int(os.environ["CHUNK_RECORDS"]),
        add_config={"isolation.level": "read_committed", "max.partition.fetch.bytes": "2097152", "log_level": "3"},
    )
    flow = Dataflow("benchmark")
    operators.output("store", operators.input("ticks", flow, source), Sink())
    cli_main(flow, epoch_interval=EPOCH, recovery_config=recovery())


if __name__ == "__main__":
    main()

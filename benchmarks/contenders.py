"""Who is measured at getting ticks into Postgres, and how each is started."""

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple
from uuid import uuid4

import psutil

from benchmarks.ground import Ground
from benchmarks.peers.environments import python_of
from benchmarks.processes import service
from benchmarks.ticks import TOPIC
from libs.contracts.topics import NORMALIZER_GROUP


class Contender(NamedTuple):
    """Who is measured: a module, started with its arguments, which is told the rest in its environment.

    `group` is its own, if it takes no other.
    """

    name: str
    what: str
    module: str
    group: str | None = None
    arguments: tuple[str, ...] = ()

    @property
    def peer(self) -> str:
        """The name of its file, and of the list of its packages if it has one."""
        return self.module.rpartition(".")[2]


SERIAL = Contender(
    "R: serial loop",
    "the common work, by hand: getmany, decode, one transaction, commit the offsets, and again",
    "benchmarks.peers.serial_loop",
)
COMMON = Contender(
    "Kasparro, common work",
    "the same work by Kasparro's transport and writer, every check of a tick included, in a process as Kasparro runs them",
    "benchmarks.common_work",
)
WHOLE = Contender(
    "Kasparro, all the work",
    "the normalizer as it is deployed: locks, counts of runs, assets, their publication, health, dead letters",
    "services.normalizer",
    NORMALIZER_GROUP,
)
PLAIN_FAUST = Contender(
    "Faust, plain",
    "the common work in a Faust agent with `take`: its own delivery and its own acknowledgements",
    "benchmarks.peers.plain_faust",
    arguments=("worker", "-l", "error"),
)
FASTSTREAM = Contender(
    "FastStream",
    "the common work in a subscriber of batches, acknowledged after the commit; arguments not validated, bytes left to msgspec",
    "benchmarks.peers.faststream_batches",
)
QUIX = Contender(
    "Quix Streams",
    "the common work in a batching sink of one's own, checkpointed every chunk",
    "benchmarks.peers.quix_sink",
)
BYTEWAX = Contender(
    "Bytewax",
    "the common work in a sink of one's own, offsets in its recovery store at the end of each epoch of a second",
    "benchmarks.peers.bytewax_sink",
)
CONTENDERS = (SERIAL, COMMON, WHOLE, PLAIN_FAUST, FASTSTREAM, QUIX, BYTEWAX)


class Start(NamedTuple):
    """A contender that has yet to begin: started again, it goes on where its group stands."""

    ground: Ground
    contender: Contender
    python: str
    environment: dict[str, str]

    def __call__(self) -> AbstractAsyncContextManager[psutil.Process]:
        """Run it until the block is left."""
        return service(self.ground, self.contender.module, *self.contender.arguments, python=self.python, **self.environment)


async def on_empty_tables(ground: Ground, contender: Contender, *, chunk_records: int, topic: str = TOPIC) -> Start:
    """Empty the tables and let the contender's group begin at the topic's first record; return what starts it."""
    await ground.clear()
    if contender.group is not None:
        await ground.rewind(contender.group, topic)
    environment = {
        "CHUNK_RECORDS": str(chunk_records),
        "BENCHMARK_TOPIC": topic,
        "BENCHMARK_GROUP": f"benchmark-{uuid4()}",
        "NORMALIZER_HEALTH_PORT": "0",
        "RAW_RETENTION_DAYS": "0",
    }
    return Start(ground, contender, await python_of(contender.peer), environment)

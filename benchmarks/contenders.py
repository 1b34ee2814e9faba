"""Who is measured at getting ticks into Postgres."""

from typing import NamedTuple

from libs.contracts.topics import NORMALIZER_GROUP


class Contender(NamedTuple):
    """Who is measured: a module, which is told what it must know in its environment. `group` is its own, if it takes no other."""

    name: str
    what: str
    module: str
    group: str | None = None

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
    "the same work by Kasparro's transport and writer, every check of a tick included",
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
CONTENDERS = (SERIAL, COMMON, WHOLE, PLAIN_FAUST, FASTSTREAM, QUIX)

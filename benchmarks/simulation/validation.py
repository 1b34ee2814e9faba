"""The simulation beside what was measured on one machine: how far off it is."""

from typing import Final, NamedTuple

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.scenario import Outcome, Scenario, simulate

CORES: Final = 2
SLICE_SECONDS: Final = 0.02
PROBES_PER_SECOND: Final = 10
ASK_SECONDS: Final = 0.02
ROUNDS: Final = 6


class Compared(NamedTuple):
    """A figure, as measured and as simulated."""

    what: str
    unit: str
    measured: float
    simulated: float

    @property
    def off_percent(self) -> float:
        """How much the simulation is above what was measured."""
        return 100 * (self.simulated / self.measured - 1)


def compare(constants: Constants) -> list[Compared]:
    """Simulate what docs/benchmarks.md and `--part constants` measure."""
    large, small = (_backlog(constants, chunk_records) for chunk_records in (5_000, 250))
    stream, alone = _stream(constants), _lone(constants)
    asked_ms = 1e3 * ASK_SECONDS / 2  # until a reader asks who asks so often
    return [
        Compared("a backlog, 5,000 a chunk", "ticks/s", constants.ticks_per_second_large, large.applied_per_second),
        Compared("a backlog, 250 a chunk", "ticks/s", constants.ticks_per_second_small, small.applied_per_second),
        Compared("4,990 ticks/s, p50", "ms", constants.stream_p50_ms, stream.lag_p50_ms + asked_ms),
        Compared("4,990 ticks/s, p99", "ms", constants.stream_p99_ms, stream.lag_p99_ms + asked_ms),
        Compared("a lone tick, p50", "ms", constants.lone_p50_ms, alone.lag_p50_ms + asked_ms),
    ]


def _backlog(constants: Constants, chunk_records: int) -> Outcome:
    return simulate(
        Scenario(listings=150_000, at_once=True, shared_cores=CORES, seconds=120, chunk_records=chunk_records), constants
    )


def _stream(constants: Constants) -> Outcome:
    """Simulate the stream with those who ask: the longer a tick takes, the more often it is asked for."""
    asked, outcome = 0.0, None
    for _ in range(ROUNDS):
        outcome = simulate(
            Scenario(
                listings=100,
                every_seconds=SLICE_SECONDS,
                shared_cores=CORES,
                seconds=20,
                readers_requests_per_second=asked,
            ),
            constants,
        )
        latest = PROBES_PER_SECOND * (1 + outcome.lag_p50_ms / 1e3 / ASK_SECONDS)
        asked = (asked + latest) / 2 if asked else latest
    if outcome is None:
        raise RuntimeError("no round was simulated")
    return outcome


def _lone(constants: Constants) -> Outcome:
    return simulate(Scenario(listings=1, every_seconds=0.25, shared_cores=CORES, seconds=20), constants)

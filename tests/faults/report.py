"""What the suite did and found, counted: printed at the end, and written as JSON where FAULTS_REPORT says."""

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Report:
    """The figures of one session. `lost` and `doubled` are what the invariants found missing or twice."""

    seed: int
    rounds: int
    path: Path | None = None
    """Where the figures are written after each check, so that a suite that is interrupted leaves them too."""
    began: float = field(default_factory=time.monotonic)
    faults: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    runs_asked: int = 0
    lost: int = 0
    doubled: int = 0
    offset_samples: int = 0
    bugs_found: int = 0
    """Of those that were put into services so that the suite finds them."""
    scenario: str = ""
    _by_scenario: dict[str, Counter[str]] = field(default_factory=dict)

    def begin(self, scenario: str) -> None:
        """Begin with a pipeline of its own: what it counts comes on top of the others'."""
        self.scenario = scenario
        self.step(f"--- {scenario}")

    def note(self, counts: Counter[str]) -> None:
        """Take what the scenario's pipeline has sent and done up to now; each check counts from its beginning."""
        self._by_scenario[self.scenario] = counts
        self.write()

    def injected(self, kind: str, times: int = 1) -> None:
        """Count a fault, and show it."""
        self.faults[kind] += times
        self.step(kind if times == 1 else f"{kind} x {times}")

    def step(self, what: str) -> None:
        """Show one line of progress."""
        print(f"  {time.monotonic() - self.began:7.1f} s  {what}", file=sys.stdout, flush=True)

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        counts: Counter[str] = sum(self._by_scenario.values(), Counter())
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": round(time.monotonic() - self.began, 1),
            "faults_injected": sum(self.faults.values()),
            "faults": dict(sorted(self.faults.items())),
            "checks": self.checks,
            "scenarios": len(self._by_scenario),
            **counts,
            "runs_asked_for": self.runs_asked,
            "committed_offset_samples": self.offset_samples,
            "bugs_put_in_and_found": self.bugs_found,
            "lost": self.lost,
            "doubled": self.doubled,
        }

    def lines(self) -> list[str]:
        """The same for a terminal."""
        return [f"{name:26} {json.dumps(value)}" for name, value in self.figures().items()]

    def write(self) -> None:
        """Write the figures, if somebody wants them."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.figures(), indent=2) + "\n")

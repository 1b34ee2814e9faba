"""After a fault: faults off, everything up, quiet, one last poll, quiet again, and then every invariant."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from libs.contracts.run_events import RunFailed, RunSkipped, RunSucceeded
from tests.faults.evidence import Evidence, counted_requests
from tests.faults.invariants import DOUBLED, LOST, OTHERS
from tests.faults.pipeline import POLLED, Pipeline
from tests.faults.tables import read_tables
from tests.faults.watcher import Sample

QUIET_SECONDS = 150.0
"""Sessions of dead members (10 s), a transaction that somebody left open (60 s), and a loaded machine."""
MOST_POLLS = 5
SHOWN = 8


class BrokenPromiseError(AssertionError):
    """Something that must hold does not."""


@dataclass(slots=True)
class Audit:
    """Checks one pipeline, again and again."""

    pipeline: Pipeline
    whole_answers_again: bool = False

    async def check(self, samples: Sequence[Sample] = (), *, quiet_seconds: float = QUIET_SECONDS) -> None:
        """Come to rest and check everything. BrokenPromiseError names each invariant that does not hold, with the records."""
        pipeline = self.pipeline
        await pipeline.provider.behave()
        pipeline.start_missing()
        await pipeline.until_ready()
        await pipeline.until_quiet(quiet_seconds)
        await self._poll_once_more(quiet_seconds)
        evidence = Evidence(
            ledger=pipeline.ledger,
            tables=await read_tables(pipeline.servers.database_url),
            served=await pipeline.provider.newest(),
            asked_for=frozenset(pipeline.asked_for),
            requests=await pipeline.provider.requests(),
            samples=samples,
            poisoned=pipeline.provider.has_poisoned or pipeline.postgres_refused,
            whole_answers_again=self.whole_answers_again,
        )
        self._note(evidence)
        await asyncio.to_thread(self._judge, evidence)

    async def _poll_once_more(self, quiet_seconds: float) -> None:
        """Ask each source until a run has succeeded: after that nothing that the provider says may be missing."""
        for _ in range(MOST_POLLS):
            asked = [await self.pipeline.ask_for_run(source) for source in POLLED]
            await self.pipeline.until_quiet(quiet_seconds)
            events = self.pipeline.ledger.events
            succeeded = {event.run_id for event in events if isinstance(event, RunSucceeded)}
            if succeeded.issuperset(asked):
                return
        raise BrokenPromiseError(f"no run succeeded with a behaving provider\n{self.pipeline.processes.last_lines()}")

    def _judge(self, evidence: Evidence) -> None:
        report = self.pipeline.report
        broken: list[str] = []
        for invariant in (*LOST, *DOUBLED, *OTHERS):
            found = invariant(evidence)
            report.checks += 1
            report.lost += len(found) if invariant in LOST else 0
            report.doubled += len(found) if invariant in DOUBLED else 0
            if found:
                more = f"\n    ... and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
                broken.append(f"NOT {invariant.__name__}:\n    " + "\n    ".join(found[:SHOWN]) + more)
        if broken:
            raise BrokenPromiseError("\n".join([*broken, self.pipeline.processes.last_lines()]))
        report.step(f"all holds: {len(evidence.ledger.ticks)} ticks, {len(evidence.samples)} samples of checkpoints")

    def _note(self, evidence: Evidence) -> None:
        ledger, tables, report = evidence.ledger, evidence.tables, self.pipeline.report
        injected = sum(tick.injected for tick in ledger.ticks.values())
        set_aside = len(ledger.letters.keys() & ledger.ticks.keys())
        ends = Counter(event.event for event in ledger.events if isinstance(event, RunSucceeded | RunFailed | RunSkipped))
        report.note(
            Counter(
                records_sent=ledger.records,
                ticks_published=len(ledger.ticks) - injected,
                ticks_injected=injected,
                stored=tables.raw_rows,
                duplicates=len(ledger.ticks) - tables.raw_rows - set_aside,
                dead_lettered=len(ledger.letters) + len(ledger.rows_set_aside),
                provider_requests=sum(evidence.requests.values()),
                requests_counted=counted_requests(ledger).total(),
                **{f"runs_{end}": number for end, number in ends.items()},
            )
        )
        report.offset_samples += len(evidence.samples)

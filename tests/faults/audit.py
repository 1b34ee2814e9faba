"""After a fault: faults off, everything up, quiet, one last poll, quiet again, and then every invariant."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.contracts.run_events import RunFailed, RunSkipped, RunSucceeded
from tests.faults.evidence import Evidence, counted_requests
from tests.faults.invariants import AT_ANY_TIME, DOUBLED, LOST, OTHERS, Invariant
from tests.faults.pipeline import POLLED, NotQuietError, Pipeline
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
    not_promised: frozenset[Invariant] = frozenset()
    """What another release that took part does not hold."""

    async def check(self, samples: Sequence[Sample] = (), *, quiet_seconds: float = QUIET_SECONDS) -> None:
        """Come to rest and check everything. BrokenPromiseError names each invariant that does not hold, with the records.

        NotQuietError when it does not come to rest; it names those of the invariants that should hold all the same.
        """
        pipeline = self.pipeline
        await pipeline.provider.behave()
        pipeline.start_missing()
        await pipeline.until_ready()
        try:
            await pipeline.until_quiet(quiet_seconds)
            await self._poll_once_more(quiet_seconds)
        except NotQuietError as error:
            found = {invariant: invariant(await self._evidence(samples)) for invariant in AT_ANY_TIME}
            raise NotQuietError("\n".join([*_told(found), str(error)])) from error
        evidence = await self._evidence(samples)
        self._note(evidence)
        await asyncio.to_thread(self._judge, evidence)

    async def _evidence(self, samples: Sequence[Sample]) -> Evidence:
        pipeline = self.pipeline
        return Evidence(
            ledger=pipeline.ledger,
            tables=await read_tables(pipeline.servers.database_url),
            served=await pipeline.provider.newest(),
            asked_for=frozenset(pipeline.asked_for),
            requests=await pipeline.provider.requests(),
            samples=samples,
            poisoned=pipeline.provider.has_poisoned or pipeline.postgres_refused,
            whole_answers_again=self.whole_answers_again,
        )

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
        found = {invariant: invariant(evidence) for invariant in (*LOST, *DOUBLED, *OTHERS) if invariant not in self.not_promised}
        report.checks += len(found)
        report.lost += sum(len(found.get(invariant, ())) for invariant in LOST)
        report.doubled += sum(len(found.get(invariant, ())) for invariant in DOUBLED)
        if broken := _told(found):
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


def _told(found: Mapping[Invariant, Sequence[str]]) -> list[str]:
    """Return a paragraph for each invariant that does not hold."""
    return [_paragraph(invariant.__name__, wrong) for invariant, wrong in found.items() if wrong]


def _paragraph(name: str, wrong: Sequence[str]) -> str:
    more = f"\n    ... and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return f"NOT {name}:\n    " + "\n    ".join(wrong[:SHOWN]) + more

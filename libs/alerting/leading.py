"""Watching for incidents: every replica can, one does. The owner of the topic's only partition leads; nobody is elected by hand.

While Kafka is away nobody can take the partition, so who led goes on: that Kafka is away is told once, too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from libs.alerting.findings import Limits, Snapshot, findings_of
from libs.alerting.judging import judge
from libs.alerting.ledger import Ledger
from libs.alerting.telling import Teller
from libs.alerting.webhook import Webhook
from libs.contracts.incidents import Incident
from libs.kafka.connection import KafkaConnection
from libs.kafka.groups import OwnedPartition, work_in_group
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

GROUP: Final = "kasparro-incidents"
"""The consumer group that says who leads, and the leader's transactional id."""
LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class IncidentWatch:
    """What watching needs. `look` is one look at everything; `page` is where the runbook is; no webhook: nobody is told."""

    connection: KafkaConnection
    look: Callable[[], Awaitable[Snapshot]]
    limits: Limits
    page: str
    webhook: Webhook | None
    clock: Clock
    topic: str
    group: str = GROUP
    look_seconds: float = LOOK_SECONDS

    async def run(self) -> None:
        """Lead whenever it is our turn, for ever; outages are waited out."""
        ledger = Ledger(self.connection, topic=self.topic, transactional_id=self.group, clock=self.clock)

        async def work(owned: OwnedPartition) -> None:
            await self._lead(owned, ledger)

        await work_in_group(self.connection, group=self.group, topic=self.topic, work=work)

    async def _lead(self, owned: OwnedPartition, ledger: Ledger) -> None:
        """Watch until the partition is taken away; then leave behind what was said last, or the next leader says it again."""
        log.info("incidents_led", tells=self.webhook is not None)
        try:
            await ledger.record()
            while not ledger.reachable:  # what another leader has said already is not known yet
                await self.clock.sleep(self.look_seconds)
                await ledger.record()
            async with asyncio.TaskGroup() as tasks:
                teller = None if self.webhook is None else Teller(self.webhook, ledger, self.clock)
                tasks.create_task(_stay(owned))
                tasks.create_task(self._judge(ledger, teller))
                if teller is not None:
                    tasks.create_task(teller.tell())
        finally:
            if ledger.reachable:
                await ledger.record()
            await ledger.close()

    async def _judge(self, ledger: Ledger, teller: Teller | None) -> None:
        since: dict[str, float] = {}
        while True:
            snapshot = await self.look()
            found = findings_of(snapshot, self.limits)
            now, monotonic = self.clock.utc(), self.clock.monotonic()
            judged = judge(ledger.book, found, since, now=now, monotonic=monotonic, page=self.page)
            since = dict(judged.since)
            for incident in judged.changed:
                ledger.note(incident)
                _log(incident)
            if snapshot.dependencies["kafka"].up:
                await ledger.record()
            else:
                ledger.reachable = False
            if teller is not None:
                teller.news.set()
            await self.clock.sleep(self.look_seconds)


async def _stay(owned: OwnedPartition) -> None:
    """Ask for the topic's records: a member that asks for nothing is taken for one that hangs, and sent away."""
    while True:
        await owned.next_record()


def _log(incident: Incident) -> None:
    if incident.closed_at is None:
        log.error("incident_opened", incident=incident.key, words=incident.words, runbook=incident.runbook)
    else:
        seconds = round((incident.closed_at - incident.opened_at).total_seconds(), 1)
        log.info("incident_closed", incident=incident.key, seconds=seconds)

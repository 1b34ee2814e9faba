"""The leader's book: the incidents as they are, kept in a compacted topic so that the next leader goes on from there.

One transactional id belongs to whoever leads. Opening it fences a leader that has not noticed yet that it leads no more, and
a change is recorded before anybody is told of it: so that one tells nobody.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from libs.alerting.judging import Say, having_said, later, say_next
from libs.contracts.incidents import Incident
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import FencedProducerError, KafkaUnreachableError, WedgedProducerError
from libs.kafka.groups import HEARTBEAT_MS
from libs.kafka.records import Record
from libs.kafka.tailing import latest_values, read_to_end
from libs.kafka.transactions import TransactionalClient
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

RECORD_SECONDS: Final = 10.0
FENCED_SECONDS: Final = HEARTBEAT_MS / 1000 + 1
"""After a heartbeat we know whether we still lead; taking the id back sooner would fence the new leader."""


def incident_in(key: bytes, value: bytes) -> Incident | None:
    """Read an incident; None, with a line in the log, when it is none."""
    try:
        incident = Incident.model_validate_json(value)
    except ValidationError as error:
        log.warning("incident_unreadable", error=str(error.errors(include_input=False)[:1]))
        return None
    return incident if incident.key.encode() == key else None


class Ledger:
    """The newest incident of each key. It outlives a leadership, with what could not be recorded while Kafka was away."""

    def __init__(self, connection: KafkaConnection, *, topic: str, transactional_id: str, clock: Clock) -> None:
        self._connection = connection
        self._topic = topic
        self._client = TransactionalClient(connection, transactional_id)
        self._clock = clock
        self._book: dict[str, Incident] = {}
        self._unrecorded: dict[str, Incident] = {}
        self._one_at_a_time = asyncio.Lock()
        self.reachable = False
        """Whether Kafka took what it was last given. While it does not, what is not recorded may be told all the same."""

    @property
    def book(self) -> Mapping[str, Incident]:
        """Incidents by key."""
        return self._book

    def note(self, incident: Incident) -> None:
        """Take a change; `record` writes it down."""
        self._book[incident.key] = self._unrecorded[incident.key] = incident

    def note_said(self, said: Incident, say: Say) -> None:
        """Take that something has been said of an incident as it was then."""
        current = self._book.get(said.key)
        if current is not None and (noted := having_said(current, said, say)) != current:
            self.note(noted)

    def due(self, now: datetime) -> tuple[Incident, Say] | None:
        """Return what is to be said next, the oldest first."""
        for incident in sorted(self._book.values(), key=lambda one: one.opened_at):
            say = say_next(incident, now)
            if say is not None and (incident.key not in self._unrecorded or not self.reachable):
                return incident, say
        return None

    async def record(self) -> None:
        """Write down what is not yet, as far as Kafka can be reached; `reachable` tells. Takes a bounded time."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(RECORD_SECONDS):
                    await self._opened()
                    await self._write(dict(self._unrecorded))
                self.reachable = True
            except FencedProducerError as error:
                log.warning("incidents_fenced", error=str(error))
                await self._client.close()
                await self._clock.sleep(FENCED_SECONDS)
            except (KafkaUnreachableError, WedgedProducerError, TimeoutError) as error:
                if self.reachable:
                    log.warning("incidents_unrecorded", error=str(error) or "no answer in time")
                self.reachable = False
                await self._client.close()

    async def close(self) -> None:
        """Give the id up."""
        self.reachable = False
        await self._client.close()

    async def _opened(self) -> None:
        """Take the id over, and the book from the topic with what of ours is further on: another may have led meanwhile."""
        if self._client.is_open:
            return
        await self._client.open()
        try:
            records = await read_to_end(self._connection, self._topic, timeout_seconds=RECORD_SECONDS)
        except BaseException:
            await self._client.close()  # who finds it open takes it that the book is read
            raise
        found = (incident_in(key, value) for key, value in latest_values(records).items())
        self._book = {incident.key: incident for incident in found if incident is not None}
        ours, self._unrecorded = self._unrecorded, {}
        for key, incident in ours.items():
            theirs = self._book.get(key)
            if theirs is None or later(incident, theirs) != theirs:
                self.note(incident)

    async def _write(self, changes: Mapping[str, Incident]) -> None:
        if not changes:
            return
        records = [Record(self._topic, key.encode(), one.model_dump_json().encode()) for key, one in changes.items()]
        async with self._client.transaction() as transaction:
            await transaction.send(records)
        for key, incident in changes.items():
            if self._unrecorded.get(key) is incident:
                del self._unrecorded[key]

"""The newest incident of each key, as etl.incidents tells it: every replica knows what the one that watches has found."""

from dataclasses import dataclass, field

from libs.alerting.ledger import incident_in
from libs.contracts.incidents import Incident
from libs.kafka.tailing import Tail

MOST_INCIDENTS = 1_000
"""Ours have a dozen keys; whoever else writes there does not fill our memory."""


@dataclass(slots=True)
class IncidentBoard:
    """Follows the topic in its own task, so it is as old as Kafka's delivery."""

    tail: Tail
    _held: dict[str, Incident] = field(default_factory=dict)

    async def follow(self) -> None:
        """Read for ever; outages are waited out."""
        async for records in self.tail:
            for record in records:
                key = record.key or b""
                incident = None if record.value is None else incident_in(key, record.value)
                if incident is not None and (incident.key in self._held or len(self._held) < MOST_INCIDENTS):
                    self._held[incident.key] = incident

    def newest(self) -> list[Incident]:
        """Return the open ones first, and of both the newest first."""
        return sorted(self._held.values(), key=lambda one: (one.closed_at is None, one.opened_at), reverse=True)

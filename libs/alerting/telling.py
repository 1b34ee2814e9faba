"""Telling what is due: one message at a time, tried until it has arrived, in as much time as the other side needs."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

import structlog

from libs.alerting.judging import Say
from libs.alerting.ledger import Ledger
from libs.alerting.slack import message_of
from libs.alerting.webhook import Delivery, Outcome, Webhook
from libs.contracts.incidents import Incident
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.1
"""Slack takes one message a second."""
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 300.0
LONGEST_WAIT_SECONDS: Final = 3_600.0
"""More than that no Retry-After keeps us silent."""
MOST_UNANSWERED: Final = 3
"""So often in a row a message goes out whose answer does not come in time: each may have arrived, and been said again."""


@dataclass(slots=True)
class Teller:
    """Tells of incidents. What waits is in the ledger, one message for each key at most, however long the other side is away."""

    webhook: Webhook
    ledger: Ledger
    clock: Clock
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it when something may be due."""
    _failures: int = 0
    _unanswered: int = 0

    async def tell(self) -> None:
        """Tell for ever. Cancelled in the middle of a message, it first learns what became of that one."""
        while True:
            self.news.clear()
            due = self.ledger.due(self.clock.utc())
            if due is None:
                await self.news.wait()
                continue
            saying = asyncio.create_task(self._say(*due))
            try:
                pause = await asyncio.shield(saying)
            except asyncio.CancelledError:
                await asyncio.wait({saying})  # as long as the webhook's own time limit
                raise
            await self.ledger.record()
            await self.clock.sleep(pause)

    async def _say(self, incident: Incident, say: Say) -> float:
        """Return how long to wait before the next message, or before the same again."""
        delivery = await self.webhook.send(message_of(incident, say))
        if delivery.outcome is Outcome.LATER:
            return self._failed(delivery)
        if delivery.outcome is Outcome.REFUSED:
            log.error("alert_refused", incident=incident.key, say=say.value, why=delivery.why)
        else:
            log.info("alert_sent", incident=incident.key, say=say.value)
            if self._failures:
                log.info("alerts_reachable", tries=self._failures)
            self._failures = 0
        self._unanswered = 0
        self.ledger.note_said(incident, say)
        return PAUSE_SECONDS

    def _failed(self, delivery: Delivery) -> float:
        if not self._failures:
            log.error("alerts_unreachable", why=delivery.why, advice="it is tried again; see SLACK_WEBHOOK_URL if it lasts")
        self._failures += 1
        self._unanswered = self._unanswered + 1 if delivery.may_have_arrived else 0
        return wait_after(delivery, failures=self._failures, unanswered=self._unanswered)


def wait_after(delivery: Delivery, *, failures: int, unanswered: int) -> float:
    """Return how many seconds to wait after a failure, the last of so many in a row, and of so many without an answer in time."""
    if unanswered >= MOST_UNANSWERED:
        return LONGEST_WAIT_SECONDS
    backoff: float = min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 16), LONGEST_RETRY_SECONDS)
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the tries, guards nothing
    return min(max(jittered, delivery.wait_seconds), LONGEST_WAIT_SECONDS)

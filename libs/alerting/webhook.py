"""One POST to Slack's webhook, or to anything that takes the same JSON. Its URL is a password: no line of ours holds it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from pydantic import SecretStr
from yarl import URL

from libs.alerting.slack import Message
from libs.process.clock import Clock
from libs.process.outgoing import proxy_for, retry_after

SECONDS: Final = 5.0
"""An answer that takes longer is none."""
KEPT_BYTES: Final = 200


class Outcome(Enum):
    """What became of a message."""

    DELIVERED = "delivered"
    LATER = "later"
    REFUSED = "refused"
    """Slack will take this message at no time; another may do."""


class Delivery(NamedTuple):
    """An outcome; `wait_seconds` is what the server asked for before the next try, `why` is for a log."""

    outcome: Outcome
    why: str = ""
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go."""

    url: SecretStr
    session: aiohttp.ClientSession
    clock: Clock

    async def send(self, message: Message) -> Delivery:
        """Send once, in bounded time; says how it went and never raises for what the other side did."""
        try:
            # A redirect would carry the message to whatever host it names.
            async with self.session.post(self.url.get_secret_value(), json=message, allow_redirects=False) as response:
                said = (await response.content.read(KEPT_BYTES)).decode(errors="replace")
                return delivery_of(response.status, said, response.headers.get("Retry-After"), self.clock.utc())
        except TimeoutError:
            return Delivery(Outcome.LATER, f"no answer within {SECONDS:g} s")
        except (aiohttp.ClientError, ValueError, OSError) as error:
            # Not its words: an error of a URL repeats the URL.
            why = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else None
            return Delivery(Outcome.LATER, why or type(error).__name__)


def delivery_of(status: int, said: str, asked_to_wait: str | None, now: datetime) -> Delivery:
    """Judge an answer. What the webhook's owner can mend (a revoked URL) is tried again; what is the message's fault is not."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivery(Outcome.DELIVERED)
    why = f"it answered {status}: {said.strip()}"
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
        return Delivery(Outcome.REFUSED, why)
    wait = retry_after({"Retry-After": asked_to_wait or ""}, now)
    return Delivery(Outcome.LATER, why, wait.total_seconds() if wait else 0.0)


@asynccontextmanager
async def open_webhook(url: SecretStr, clock: Clock) -> AsyncIterator[Webhook]:
    """Open the session for a webhook; nothing is sent yet."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "kasparro"},
        proxy=proxy_for(URL(url.get_secret_value())),
    ) as session:
        yield Webhook(url, session, clock)


@asynccontextmanager
async def open_webhook_if_any(url: SecretStr | None, clock: Clock) -> AsyncIterator[Webhook | None]:
    """Open it if there is one."""
    if url is None:
        yield None
        return
    async with open_webhook(url, clock) as webhook:
        yield webhook

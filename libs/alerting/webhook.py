"""One POST to Slack's webhook, or to anything that takes the same JSON. Its URL is a password: no line of ours holds it."""

import re
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

SECONDS: Final = 8.0
"""An answer that takes longer is none. Less than LEAVE_SECONDS: who stops leading learns what became of its last message."""
CONNECT_SECONDS: Final = 4.0
"""Of these, to reach the other side: a message that was not sent cannot have arrived."""
LARGEST_QUOTED: Final = 16_384
"""Bytes of an answer. Nothing of a larger one is quoted: a URL that is cut in two is not found in it."""
KEPT_CHARACTERS: Final = 200
SHORTEST_SECRET: Final = 4
"""Characters of a piece of the URL that may be a password. Shorter ones stand in many words."""


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
    may_have_arrived: bool = False
    """It was sent, and nobody said in time what became of it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go."""

    url: SecretStr
    session: aiohttp.ClientSession
    clock: Clock

    async def send(self, message: Message) -> Delivery:
        """Send once, in bounded time; says how it went and never raises for what the other side did."""
        delivery: Delivery | None = None
        try:
            # A redirect would carry the message to whatever host it names.
            async with self.session.post(self.url.get_secret_value(), json=message, allow_redirects=False) as response:
                delivery = delivery_of(response.status, response.headers.get("Retry-After"), self.clock.utc())
                if delivery.outcome is not Outcome.DELIVERED:
                    said = without_url(await _quoted(response), URL(self.url.get_secret_value()))
                    delivery = delivery._replace(why=f"{delivery.why}: {said[:KEPT_CHARACTERS]}" if said else delivery.why)
        except aiohttp.ConnectionTimeoutError:
            return Delivery(Outcome.LATER, f"no connection within {CONNECT_SECONDS:g} s")
        except TimeoutError:
            # Once the head of the answer is there it counts, whatever becomes of the body.
            return delivery or Delivery(Outcome.LATER, f"no answer within {SECONDS:g} s", may_have_arrived=True)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            # Not its words: an error of a URL repeats the URL.
            why = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else None
            return delivery or Delivery(Outcome.LATER, why or type(error).__name__)
        return delivery


async def _quoted(response: aiohttp.ClientResponse) -> str:
    """Return an answer's words if they are few and whole."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(LARGEST_QUOTED):
        body += chunk
        if len(body) > LARGEST_QUOTED:
            return ""
    return body.decode(errors="replace").strip()


def without_url(words: str, url: URL) -> str:
    """Return the words without the webhook's URL and its pieces: an error page may repeat the path, which is the password."""
    wholes = (str(url), url.human_repr(), url.raw_path_qs, url.path_qs, url.raw_path, url.path)
    pieces = (*url.raw_parts, *url.parts, *url.query.values(), url.raw_password, url.password)
    secrets = {secret for secret in (*wholes, *pieces) if secret and len(secret) >= SHORTEST_SECRET}
    if not secrets:
        return words
    longest_first = sorted((re.escape(secret) for secret in secrets), key=len, reverse=True)
    return re.sub("|".join(longest_first), "…", words, flags=re.IGNORECASE)


def delivery_of(status: int, asked_to_wait: str | None, now: datetime) -> Delivery:
    """Judge an answer by its head.

    What the webhook's owner can mend (a revoked URL) is tried again; what is the message's fault is not.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivery(Outcome.DELIVERED)
    why = f"it answered {status}"
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
        return Delivery(Outcome.REFUSED, why)
    wait = retry_after({"Retry-After": asked_to_wait or ""}, now)
    return Delivery(Outcome.LATER, why, wait.total_seconds() if wait else 0.0)


@asynccontextmanager
async def open_webhook(url: SecretStr, clock: Clock) -> AsyncIterator[Webhook]:
    """Open the session for a webhook; nothing is sent yet."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS, connect=CONNECT_SECONDS),
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

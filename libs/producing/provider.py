"""One GET of a provider, made to last: admitted by the quota, bounded in time and size, tried again where that can help."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import aiohttp
import structlog
from pydantic import SecretStr
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from yarl import URL

from libs.process.clock import Clock
from libs.process.outgoing import proxy_for, retry_after
from libs.producing.fetching import FetchFailedError, Permit
from libs.producing.measures import Exchange, Measures
from libs.sources.answers import AnswerError, rows_in
from libs.telemetry import labels

log = structlog.get_logger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
TRIES = 4
LONGEST_BACKOFF_SECONDS = 15.0
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes, unpacked. CoinPaprika's full answer has 4 MB."""
CHUNK_BYTES = 65_536

Parsed = TypeVar("Parsed")


class _TransientError(Exception):
    """Worth another try."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's address and how we show ourselves; the names of the variables are for messages."""

    name: str
    base_url: str
    base_url_variable: str
    key_variable: str | None
    """None where the provider knows no keys: then its address is all that there is to check."""
    session: aiohttp.ClientSession
    clock: Clock
    key_headers: Mapping[str, SecretStr] = field(default_factory=dict)
    measures: Measures | None = None

    async def get(self, path: str, query: Mapping[str, str], permit: Permit, parse: Callable[[bytes], Parsed]) -> Parsed:
        """Return the parsed answer. Each try is admitted, and so counted, by the permit. Raises FetchFailedError."""
        tries = AsyncRetrying(
            sleep=self.clock.sleep,
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=1, max=LONGEST_BACKOFF_SECONDS),
            retry=retry_if_exception_type(_TransientError),
            reraise=True,
        )
        last: _TransientError | None = None
        try:
            async for attempt in tries:
                with attempt:
                    try:
                        await permit.admit()
                        return self._parsed(await self._once(path, query, permit), parse)
                    except _TransientError as error:
                        last = error
                        raise
        except _TransientError as error:
            raise FetchFailedError(f"{error} ({TRIES} tries); the next run asks again") from error
        except FetchFailedError as error:
            # What held us up comes before what that led to: a refusal, then that there is no time or budget left.
            raise (FetchFailedError(f"{last}; {error}") if last else error) from error
        raise AssertionError("tenacity tries at least once")

    async def _once(self, path: str, query: Mapping[str, str], permit: Permit) -> bytes:
        headers = {name: secret.get_secret_value() for name, secret in self.key_headers.items()}
        url = self.base_url.rstrip("/") + path
        try:
            # A redirect would carry the key to whatever host it names.
            with self._exchange() as exchange:
                async with self.session.get(url, params=query, headers=headers, allow_redirects=False) as response:
                    exchange.status = labels.BROKEN_OFF
                    body = await self._body(response)
                    exchange.answered(response.status)
        except TimeoutError as error:
            raise _TransientError(f"{self.name} did not answer within {self.session.timeout.total:g} s") from error
        except aiohttp.ClientPayloadError as error:
            raise _TransientError(f"{self.name}'s answer broke off before its end: {error}") from error
        except aiohttp.ClientError as error:
            raise _TransientError(f"{self.name} could not be reached at {url}: {_cause(error)}") from error
        if response.status != HTTPStatus.OK:
            await self._refused(response, body, permit)
        return body

    def _exchange(self) -> AbstractContextManager[Exchange]:
        return nullcontext(Exchange()) if self.measures is None else self.measures.exchange()

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise FetchFailedError(
                    f"{self.name}'s answer is larger than {LARGEST_ANSWER // 2**20} MiB, which no list of its kind is"
                )
        return bytes(body)

    async def _refused(self, response: aiohttp.ClientResponse, body: bytes, permit: Permit) -> None:
        wait = retry_after(response.headers, self.clock.utc())
        if wait is not None:
            log.warning("retry_after_received", provider=self.name, status=response.status, seconds=wait.total_seconds())
            await permit.hold_until(self.clock.utc() + wait)
        said = self._without_key(f"{self.name} answered {response.status} {response.reason}: {_words(body)}")
        if response.status == HTTPStatus.TOO_MANY_REQUESTS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _TransientError(said)
        held = f", and is not asked again for {wait.total_seconds():g} s (Retry-After)" if wait is not None else ""
        raise FetchFailedError(f"{said}; {self._advice(response.status)}{held}")

    def _without_key(self, words: str) -> str:
        """A provider may repeat the key that it refuses, and its words go into logs, topics and answers."""
        for secret in self.key_headers.values():
            words = words.replace(secret.get_secret_value(), "…")
        return words

    @property
    def _credential(self) -> str:
        return self.key_variable or self.base_url_variable

    def _advice(self, status: int) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED:
                return f"it does not accept the API key: check {self._credential}"
            case HTTPStatus.PAYMENT_REQUIRED:
                return (
                    f"the plan does not cover this or its quota is exhausted: wait for the next month, or see {self._credential}"
                )
            case HTTPStatus.FORBIDDEN:
                return f"it refuses this key or this address: check {self._credential}"
            case HTTPStatus.NOT_FOUND:
                return f"it has nothing there: check {self.base_url_variable} ({self.base_url})"
            case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                return f"redirects are not followed, so that the key stays here: check {self.base_url_variable} ({self.base_url})"
            case _:
                return "it will not take this request"

    def _parsed(self, body: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
        try:
            return parse(body)
        except AnswerError as error:
            said = self._without_key(f"{self.name} answered 200, but {error}")
            if "truncated" in str(error):
                raise _TransientError(said) from error
            raise FetchFailedError(f"{said}; nothing of it was used") from error


def _cause(error: aiohttp.ClientError) -> str:
    """Say why in the system's words where there are any."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _words(body: bytes) -> str:
    """What an answer that is no list says, for a person: an error page and an error object told as what they are."""
    try:
        rows_in(body)
    except AnswerError as error:
        return str(error)
    return "with a list of rows"


@asynccontextmanager
async def open_session(base_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the one HTTP session of a producer: no cookies, gzip, bounded waits, and the machine's proxy except to itself.

    aiohttp's own trust_env is left off: it also reads ~/.netrc, and would send a provider whatever stands there.
    """
    async with aiohttp.ClientSession(
        timeout=TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "kasparro", "Accept": "application/json"},
        proxy=proxy_for(URL(base_url)),
    ) as session:
        # It would send a GET once more by itself when a kept connection turns out to be closed, uncounted by the quota.
        session._retry_connection = False  # noqa: SLF001 no option says it; aiohttp's own test client does the same
        yield session

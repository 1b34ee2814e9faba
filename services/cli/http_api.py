"""Asking the HTTP API, for the commands that do."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from libs.process.clock import Clock, SystemClock
from services.cli.api_clock import ApiClock
from services.cli.errors import ApiAwayError, CommandError, UseError

ANSWER_SECONDS = 300.0
READ_SECONDS: Final = 10.0
"""Of an answer that waits for no run."""
CONNECT_SECONDS = 5.0
UNAVAILABLE: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})

Parameters = Sequence[tuple[str, str]]
Shape = TypeVar("Shape")


class ApiAnswer(NamedTuple):
    """What came back; `location` is where to follow what has not ended."""

    status: int
    body: dict[str, Any]
    location: str | None


def ask_api(method: str, url: str, *, token: str | None = None) -> ApiAnswer:
    """Return the API's answer, whatever its status. Raises ApiAwayError when it has none."""
    with _in_our_words(url):
        return asyncio.run(_ask(method, url, token))


async def _ask(method: str, url: str, token: str | None) -> ApiAnswer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.request(method, url, headers=headers) as answer:
        body = msgspec.json.decode(await answer.read(), type=dict[str, Any])
        return ApiAnswer(answer.status, body, answer.headers.get("Location"))


class ApiRead(NamedTuple):
    """What a GET came to: the bytes of the body, its tag if they have one, and when the API says that it is."""

    status: int
    content: bytes
    tag: str | None
    date: datetime | None


class ApiProblem(msgspec.Struct, frozen=True):
    """What the API says of a request that it does not answer as asked."""

    code: str
    detail: str

    @property
    def words(self) -> str:
        """As an operator is told."""
        return f"{self.code}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Api:
    """The API's reading side, over one session. It asks for no token."""

    base: str
    session: aiohttp.ClientSession
    clock: ApiClock
    """What time it is there, as of the last answer."""

    async def get(self, path: str, parameters: Parameters = (), *, tag: str | None = None) -> ApiRead:
        """Return what came back, whatever its status; with a `tag` that is 304 and nothing while nothing has changed.

        Raises ApiAwayError when nothing does.
        """
        headers = {"If-None-Match": tag} if tag else {}
        timeout = aiohttp.ClientTimeout(total=READ_SECONDS, sock_connect=CONNECT_SECONDS)
        url = self.url(path, parameters)
        with _in_our_words(str(url)):
            async with self.session.get(url, headers=headers, timeout=timeout) as answer:
                date = self.hear_time(answer)
                return ApiRead(answer.status, await answer.read(), answer.headers.get("ETag"), date)

    async def read(self, path: str, shape: type[Shape], parameters: Parameters = ()) -> Shape:
        """Return the body of an answer that is well. Raises UseError, ApiAwayError or CommandError when it is not."""
        answer = await self.get(path, parameters)
        if answer.status != HTTPStatus.OK:
            raise error_of(answer.status, self.problem(answer.content))
        return self.decoded(answer.content, shape)

    def hear_time(self, answer: aiohttp.ClientResponse) -> datetime | None:
        """Return what time an answer that has just come says that it is, and keep `clock` by it."""
        date = _date(answer)
        self.clock.hear(date)
        return date

    def url(self, path: str, parameters: Parameters = ()) -> URL:
        """Return where to ask."""
        return URL(self.base + path).with_query(list(parameters))

    def decoded(self, content: bytes, shape: type[Shape]) -> Shape:
        """Return a body as what is read of it. Raises ApiAwayError when it is something else's."""
        with _in_our_words(self.base):
            return msgspec.json.decode(content, type=shape)

    def problem(self, content: bytes) -> ApiProblem:
        """Return why there is no answer. Raises ApiAwayError when somebody else says so."""
        return self.decoded(content, ApiProblem)


def error_of(status: int, problem: ApiProblem) -> CommandError:
    """Return the error of a command whose request was not answered as asked: whose fault it is decides the kind."""
    if status in UNAVAILABLE:
        return ApiAwayError(problem.words)
    return UseError(problem.words) if status < HTTPStatus.INTERNAL_SERVER_ERROR else CommandError(problem.words)


@asynccontextmanager
async def open_api(base: str, clock: Clock | None = None) -> AsyncIterator[Api]:
    """Return what reads the API at this address. `clock` is this machine's, which may be wrong."""
    async with aiohttp.ClientSession() as session:
        yield Api(base, session, ApiClock(clock or SystemClock()))


def _date(answer: aiohttp.ClientResponse) -> datetime | None:
    """In whole seconds; None where there is none that can be read."""
    try:
        date = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else None


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except msgspec.DecodeError as error:
        raise ApiAwayError(f"what answers at {url} is not Kasparro's HTTP API") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ApiAwayError(f"the HTTP API does not answer at {url}; does it run (`make run`)?") from error

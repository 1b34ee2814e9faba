"""Asking the HTTP API, for the commands that do."""

import asyncio
from typing import Any, NamedTuple

import aiohttp
import msgspec

from services.cli.errors import ApiAwayError

ANSWER_SECONDS = 300.0
CONNECT_SECONDS = 5.0


class ApiAnswer(NamedTuple):
    """What came back; `location` is where to follow what has not ended."""

    status: int
    body: dict[str, Any]
    location: str | None


def ask_api(method: str, url: str, *, token: str | None = None) -> ApiAnswer:
    """Return the API's answer, whatever its status. Raises ApiAwayError when it has none."""
    try:
        return asyncio.run(_ask(method, url, token))
    except msgspec.DecodeError as error:
        raise ApiAwayError(f"what answers at {url} is not Kasparro's HTTP API") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ApiAwayError(f"the HTTP API does not answer at {url}; does it run (`make run`)?") from error


async def _ask(method: str, url: str, token: str | None) -> ApiAnswer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.request(method, url, headers=headers) as answer:
        body = msgspec.json.decode(await answer.read(), type=dict[str, Any])
        return ApiAnswer(answer.status, body, answer.headers.get("Location"))

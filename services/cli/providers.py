"""Whether the real providers can be reached, asked once before anything starts, and who stands in for them if not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from libs.sources.catalogue import SOURCES
from libs.sources.source import Hosting

ANSWER_SECONDS = 3.0
TOO_MANY_REQUESTS = 429


SANDBOX_REQUESTS_PER_MINUTE = "600"
"""A key's real budget, 5 a minute without one, would make somebody who tries things out wait."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that the sandbox can stand in for."""

    source: str
    hosting: Hosting

    @property
    def base_url_variable(self) -> str:
        """The variable that says where to ask."""
        return f"{self.source.upper()}_BASE_URL"


PROVIDERS = tuple(Provider(source.name, source.hosting) for source in SOURCES.values() if source.hosting is not None)


async def reachable(providers: tuple[Provider, ...]) -> Mapping[str, bool]:
    """Return, by source, whether its provider answers as itself; being told to slow down is an answer too."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        answers = await asyncio.gather(*(_answers(session, provider.hosting.probe) for provider in providers))
    return {provider.source: answered for provider, answered in zip(providers, answers, strict=True)}


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.ok or answer.status == TOO_MANY_REQUESTS
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def sandbox_environment(providers: tuple[Provider, ...], port: int) -> dict[str, str]:
    """Return the variables that point the producers of `providers` at the sandbox, whose patience no plan limits."""
    addresses = {provider.base_url_variable: f"http://127.0.0.1:{port}{provider.hosting.sandbox_path}" for provider in providers}
    return addresses | {f"{provider.source.upper()}_REQUESTS_PER_MINUTE": SANDBOX_REQUESTS_PER_MINUTE for provider in providers}

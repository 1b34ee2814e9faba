"""Kafka's jars: pinned with their checksums in kafka.lock, fetched once, verified before anything runs them.

Other jars may have a lock of their own. A lock names coordinates and no host: the address is Maven Central's, or
MAVEN_REPOSITORY_URL for a mirror.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from libs.devstack.errors import JarsUnavailableError

KAFKA = "org.apache.kafka:kafka_2.13:4.2.2"
"""What the lock is resolved from (`make kafka-lock`): the newest without KAFKA-20734, see docs/architecture.md."""

KAFKA_LOG = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"
"""What lets the broker write a log; all that it needs comes with the broker."""

CONNECTIONS = 8
TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=20)
TRIES = 3
RETRY_SECONDS = 0.5
INSTEAD = (
    "Without the jars there is no embedded broker. Name one (KAFKA_BOOTSTRAP_SERVERS=host:port), a mirror of the jars "
    "(MAVEN_REPOSITORY_URL=https://…), or start one in a container (docker compose up --wait)."
)

Progress = Callable[[int, int], None]
"""Told (jars done, jars in all) after each."""


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    """One artifact by its Maven coordinates, and the SHA-256 that its bytes must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Its name in a repository, and in ours."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where every Maven repository keeps it."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.filename}"


def read_lock(lock: Path) -> list[Jar]:
    """Read `sha256  group:artifact:version` lines; blank ones and those with # are not jars."""
    lines = (line.strip() for line in lock.read_text().splitlines())
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return [_jar(sha256, *coordinates.split(":")) for sha256, coordinates in pairs]


async def fetch_jars(
    lock: Path, folder: Path, *, repository_url: str | None = None, progress: Progress = lambda _done, _all: None
) -> list[Path]:
    """Return every jar's path in `folder`, fetching what is missing; a jar is there whole and verified, or not at all."""
    jars = await asyncio.to_thread(read_lock, lock)
    missing = await asyncio.to_thread(lambda: [jar for jar in jars if not (folder / jar.filename).exists()])
    if missing:
        central = await asyncio.to_thread(_maven_central)
        await _fetch_all(missing, folder, lock, repository_url or central, progress, of=len(jars))
    return [folder / jar.filename for jar in jars]


async def _fetch_all(missing: list[Jar], folder: Path, lock: Path, repository_url: str, progress: Progress, *, of: int) -> None:
    done = of - len(missing)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)

    async def fetch(jar: Jar) -> None:
        nonlocal done
        content = await _download(session, f"{repository_url.rstrip('/')}/{jar.path}")
        _keep(jar, content, folder, lock)
        done += 1
        progress(done, of)

    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, trust_env=True) as session:
        try:
            async with asyncio.TaskGroup() as tasks:
                for jar in missing:
                    tasks.create_task(fetch(jar))
        except ExceptionGroup as several:
            raise next((each for each in several.exceptions if isinstance(each, JarsUnavailableError)), several) from None


async def _download(session: aiohttp.ClientSession, url: str) -> bytes:
    failure: Exception | None = None
    for _ in range(TRIES):
        try:
            async with session.get(url) as answer:
                if answer.status < 500:  # noqa: PLR2004 - a repository that stumbles may recover
                    return await _content(answer)
                failure = JarsUnavailableError(f"it answered {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure = error
        await asyncio.sleep(RETRY_SECONDS)
    raise JarsUnavailableError(f"{url} cannot be had: {failure or 'no answer'}. {INSTEAD}") from failure


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    if not answer.ok:
        raise JarsUnavailableError(f"{answer.url} answered {answer.status} {answer.reason}. {INSTEAD}")
    return await answer.read()


def _maven_central() -> str:
    from jgo.constants import MAVEN_CENTRAL_URL  # late: jgo takes half a second to import, and is needed once

    return str(MAVEN_CENTRAL_URL)


def _keep(jar: Jar, content: bytes, folder: Path, lock: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise JarsUnavailableError(
            f"{jar.filename} is not what {lock.name} says: SHA-256 {found}, expected {jar.sha256}. It was thrown away. {INSTEAD}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{jar.filename}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(partial).replace(folder / jar.filename)


def _jar(sha256: str, group: str, artifact: str, version: str) -> Jar:
    return Jar(group, artifact, version, sha256)

"""Kafka's jars: pinned with their checksums in kafka.lock, fetched once, verified before anything runs them.

The lock names coordinates and no host: the address is Maven Central's, or MAVEN_REPOSITORY_URL for a mirror.
"""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
"""What the lock is resolved from (`make kafka-lock`)."""

KAFKA_LOG = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"
"""What lets the broker write a log; all that it needs comes with the broker."""

CONNECTIONS = 8
READ_SECONDS = 30.0
TRIES = 3
INSTEAD = (
    "Without the jars there is no embedded broker. Name one (KAFKA_BOOTSTRAP_SERVERS=host:port), a mirror of the jars "
    "(MAVEN_REPOSITORY_URL=https://…), or start everything in containers (docker compose up)."
)

Progress = Callable[[int, int], None]
"""Told (jars done, jars in all) after each."""


class JarsUnavailableError(Exception):
    """The jars could not be had, or are not what the lock says; the message says what to do instead."""


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


def fetch_jars(lock: Path, folder: Path, *, repository_url: str, progress: Progress = lambda _done, _all: None) -> list[Path]:
    """Return every jar's path in `folder`, fetching what is missing; a jar is there whole and verified, or not at all."""
    jars = read_lock(lock)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.filename).exists()]
    done = len(jars) - len(missing)
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="jar") as threads:
        try:
            for _ in threads.map(lambda jar: _fetch(jar, folder, repository_url), missing):
                done += 1
                progress(done, len(jars))
        except JarsUnavailableError:
            threads.shutdown(cancel_futures=True)
            raise
    return [folder / jar.filename for jar in jars]


def verified(jars: Iterable[Jar], folder: Path) -> bool:
    """Whether each jar in `folder` is still what the lock says."""
    return all(_sha256((folder / jar.filename).read_bytes()) == jar.sha256 for jar in jars)


def _jar(sha256: str, group: str, artifact: str, version: str) -> Jar:
    return Jar(group, artifact, version, sha256)


def _fetch(jar: Jar, folder: Path, repository_url: str) -> None:
    content = _download(f"{repository_url.rstrip('/')}/{jar.path}")
    if (found := _sha256(content)) != jar.sha256:
        raise JarsUnavailableError(
            f"{jar.filename} is not what kafka.lock says: SHA-256 {found}, expected {jar.sha256}. It was thrown away. {INSTEAD}"
        )
    handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{jar.filename}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(partial).replace(folder / jar.filename)


def _download(url: str) -> bytes:
    failure: Exception | None = None
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=READ_SECONDS) as answer:  # noqa: S310 - the operator names the repository
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise JarsUnavailableError(f"{url} answered {error.code} {error.reason}. {INSTEAD}") from error
        except (OSError, ValueError) as error:
            failure = error
    raise JarsUnavailableError(f"{url} cannot be reached: {failure}. {INSTEAD}") from failure


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

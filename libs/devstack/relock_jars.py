"""Resolve Kafka's jars anew and write kafka.lock: `python -m libs.devstack.relock_jars kafka.lock` (`make kafka-lock`)."""

import hashlib
import sys
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import Artifact, Dependency, MavenContext
from jgo.parse import Coordinate

from libs.devstack.jars import CONNECTIONS, KAFKA, KAFKA_LOG, Jar

HEADER = f"""\
# The jars of {KAFKA}, as `make kafka-lock` resolved them: SHA-256 and Maven coordinates.
# They come from Maven Central, or from MAVEN_REPOSITORY_URL, and are verified against this file.
"""


def resolve_jars(roots: Sequence[str], *, alone: Sequence[str] = (), without: Collection[str] = ()) -> list[Jar]:
    """Return the jars that the roots need at run time, each with the checksum of what came.

    Of an artifact that several roots need, the first one's version is taken. Jars that are `alone` come as they are, with
    nothing that they ask for; what is `without` (group:artifact) does not come at all.
    """
    with tempfile.TemporaryDirectory() as cache:
        context = MavenContext(repo_cache=Path(cache), remote_repos={"central": MAVEN_CENTRAL_URL})
        needed = {_name(each): each.artifact for each in (_dependency(context, one) for one in alone)}
        for root in roots:
            # One root at a time: jgo takes every root for a list of versions too, and the log's would turn Kafka's own back.
            inputs, transitive = context.resolver.resolve([_dependency(context, root)])
            found = [each for each in (*inputs, *transitive) if each.scope in {"compile", "runtime"}]
            needed = {_name(each): each.artifact for each in found if _name(each) not in without} | needed
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            return sorted(threads.map(_jar, needed.values()))


def write_lock(lock: Path, header: str, jars: Sequence[Jar]) -> None:
    """Write a lock as `read_lock` reads it."""
    lines = (f"{jar.sha256}  {jar.group}:{jar.artifact}:{jar.version}\n" for jar in jars)
    lock.write_text(header + "".join(lines))
    print(f"{lock}: {len(jars)} jars")


def _dependency(context: MavenContext, coordinates: str) -> Dependency:
    return context.create_dependency(replace(Coordinate.parse(coordinates), scope="compile"))


def _name(dependency: Dependency) -> str:
    return f"{dependency.artifact.groupId}:{dependency.artifact.artifactId}"


def _jar(artifact: Artifact) -> Jar:
    sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
    return Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256)


def main() -> None:
    """Write the broker's lock."""
    write_lock(Path(sys.argv[1]), HEADER, resolve_jars([KAFKA], alone=[KAFKA_LOG]))


if __name__ == "__main__":
    main()

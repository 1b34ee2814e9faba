"""Resolve Kafka's jars anew and write kafka.lock: `python -m libs.devstack.relock_jars kafka.lock` (`make kafka-lock`)."""

import hashlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import Artifact, MavenContext
from jgo.parse import Coordinate

from libs.devstack.jars import CONNECTIONS, KAFKA, KAFKA_LOG, Jar

HEADER = f"""\
# The jars of {KAFKA}, as `make kafka-lock` resolved them: SHA-256 and Maven coordinates.
# They come from Maven Central, or from MAVEN_REPOSITORY_URL, and are verified against this file.
"""


def resolve_jars() -> list[Jar]:
    """Return the jars that a broker needs at run time, each with the checksum of what came."""
    with tempfile.TemporaryDirectory() as cache:
        context = MavenContext(repo_cache=Path(cache), remote_repos={"central": MAVEN_CENTRAL_URL})
        kafka, log = (context.create_dependency(replace(Coordinate.parse(each), scope="compile")) for each in (KAFKA, KAFKA_LOG))
        # One root alone: jgo takes every root for a list of versions too, and the log's would turn Kafka's own back.
        inputs, transitive = context.resolver.resolve([kafka])
        needed = [log, *(each for each in (*inputs, *transitive) if each.scope in {"compile", "runtime"})]
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            return sorted(threads.map(_jar, (each.artifact for each in needed)))


def _jar(artifact: Artifact) -> Jar:
    sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
    return Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256)


def main() -> None:
    """Write the lock."""
    jars = resolve_jars()
    lines = (f"{jar.sha256}  {jar.group}:{jar.artifact}:{jar.version}\n" for jar in jars)
    Path(sys.argv[1]).write_text(HEADER + "".join(lines))
    print(f"{sys.argv[1]}: {len(jars)} jars")


if __name__ == "__main__":
    main()

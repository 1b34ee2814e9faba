"""Resolve Kafka Connect's jars and its sink's anew: `python -m benchmarks.peers.relock_connect`."""

from pathlib import Path

from benchmarks.peers.connect_sink import CONNECT, SINK
from libs.devstack.relock_jars import resolve_jars, write_lock

HERE = Path(__file__).parent
POOL = "org.hibernate.orm:hibernate-agroal:7.2.19.Final"
"""The sink asks for org.hibernate:hibernate-agroal, a name that Hibernate has left: this is where it went. Resolved first, so
that the rest of Hibernate has its version."""

CONNECTS_OWN = {
    "org.apache.kafka:connect-api",
    "org.apache.kafka:kafka-clients",
    "org.slf4j:slf4j-api",
    "com.fasterxml.jackson.core:jackson-annotations",
    "com.fasterxml.jackson.core:jackson-core",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.github.luben:zstd-jni",
    "at.yawk.lz4:lz4-java",
    "org.xerial.snappy:snappy-java",
}
"""A plugin that brings these has classes that are not Connect's."""

OTHER_DATABASES = {
    "com.mysql:mysql-connector-j",
    "org.mariadb.jdbc:mariadb-java-client",
    "com.microsoft.sqlserver:mssql-jdbc",
    "com.oracle.database.jdbc:ojdbc11",
}
LEFT_OUT = CONNECTS_OWN | OTHER_DATABASES | {"org.hibernate:hibernate-agroal"}
HEADER = """\
# The jars of {roots}, as `python -m benchmarks.peers.relock_connect` resolved them.
# They come from Maven Central, or from MAVEN_REPOSITORY_URL, and are verified against this file.
"""


def main() -> None:
    """Write both locks."""
    write_lock(HERE / "connect.lock", HEADER.format(roots=CONNECT), resolve_jars([CONNECT]))
    write_lock(HERE / "debezium.lock", HEADER.format(roots=SINK), resolve_jars([POOL, SINK], without=LEFT_OUT))


if __name__ == "__main__":
    main()

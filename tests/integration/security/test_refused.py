"""A wrong credential is no outage: one clear line that names what to mend, and an exit code; nothing waits and tries for ever."""

import asyncio
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.access import KafkaRefusedError, knock
from libs.kafka.connection import KafkaConnection
from libs.postgres.access import DatabaseRefusedError
from libs.postgres.access import knock as knock_at_postgres
from libs.process.settings import EXIT_BAD_SETTINGS
from tests.conftest import ROOT
from tests.integration.security.conftest import PASSWORD, USER, Secured
from tests.integration.security.test_let_in import connection_of

WRONG = "not-the-password"
ENDS_WITHIN = 30.0
STAYS = 6.0

REFUSALS: dict[str, tuple[str, Mapping[str, str | None], str]] = {
    # listener, what is wrong in its environment (None: not set), what is said
    "a wrong SCRAM password": ("scram", {"KAFKA_SASL_PASSWORD": WRONG}, "correct KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD"),
    "a wrong PLAIN password": ("plain", {"KAFKA_SASL_PASSWORD": WRONG}, "correct KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD"),
    "an unknown user": ("scram-tls", {"KAFKA_SASL_USERNAME": "nobody"}, "refuses the user nobody with SCRAM-SHA-512"),
    "a mechanism that is not offered": (
        "scram",
        {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"},
        "set KAFKA_SASL_MECHANISM to PLAIN or SCRAM-SHA-256",
    ),
    "no password where one is asked for": (
        "scram",
        dict.fromkeys(("KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")),
        "asks for a password: set KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT",
    ),
    "a password where none is asked for": (
        "open",
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        },
        "KAFKA_SECURITY_PROTOCOL",
    ),
    "no TLS where it is spoken": (
        "mutual-tls",
        dict.fromkeys(("KAFKA_SECURITY_PROTOCOL", "KAFKA_SSL_CA_FILE", "KAFKA_SSL_CERT_FILE")),
        "speaks TLS there: set KAFKA_SECURITY_PROTOCOL",
    ),
    "TLS where none is spoken": (
        "open",
        {"KAFKA_SECURITY_PROTOCOL": "SSL"},
        "speaks no TLS there: set KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
    ),
    "an authority that is not ours": ("scram-tls", {"KAFKA_SSL_CA_FILE": "OTHER"}, "set KAFKA_SSL_CA_FILE"),
    "no client certificate": ("mutual-tls", {"KAFKA_SSL_CERT_FILE": None}, "set KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE"),
}


@pytest.mark.parametrize("wrong", REFUSALS)
async def test_what_is_wrong_is_told_with_the_variable_to_mend(secured: Secured, wrong: str) -> None:
    listener, changes, says = REFUSALS[wrong]
    with pytest.raises(KafkaRefusedError) as refused:
        await knock_until_heard(connection_of(spoilt(secured, listener, changes)))
    told = str(refused.value)
    assert says in told
    assert secured.addresses[listener] in told
    assert "\n" not in told
    assert PASSWORD not in told
    assert WRONG not in told


async def knock_until_heard(connection: KafkaConnection) -> None:
    """Knock as services do: again when nobody answers, as a broker on full processors does not in time."""
    for _ in range(3):
        if await knock(connection):
            return


async def test_a_broker_that_is_away_refuses_nobody(secured: Secured) -> None:
    away = secured.environment("scram-tls") | {"KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{free_port()}"}
    assert await knock(connection_of(away)) is False


def wrong_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", f":{WRONG}@")).geturl()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (wrong_password, "refuses us (password authentication failed"),
        (lambda url: url.replace("/kasparro_test_", "/no_such_"), "refuses us (database"),
        (lambda url: url.replace("ca.pem", "other-ca.pem"), "is not trusted"),
    ],
    ids=["a wrong password", "no such database", "an authority that is not ours"],
)
async def test_what_postgres_refuses_is_told(tls_database_url: str, spoil: object, says: str) -> None:
    assert callable(spoil)
    with pytest.raises(DatabaseRefusedError) as refused:
        await knock_at_postgres(spoil(tls_database_url), application="test")
    told = str(refused.value)
    assert says in told
    assert told.endswith("correct DATABASE_URL")
    assert WRONG not in told


async def test_postgres_without_tls_is_told_when_it_is_asked_for(database_url: str) -> None:
    with pytest.raises(DatabaseRefusedError, match="speaks no TLS, and sslmode asks for it"):
        await knock_at_postgres(f"{database_url}?sslmode=require", application="test")


PROCESSES: dict[str, tuple[tuple[str, ...], str]] = {
    "a producer": (("services.producers.csv",), "kafka"),
    "the normalizer, at Kafka": (("services.normalizer",), "kafka"),
    "the normalizer, at Postgres": (("services.normalizer",), "postgres"),
    "the query service, at Kafka": (("services.query",), "kafka"),
    "the query service, at Postgres": (("services.query",), "postgres"),
    "kasparro lag": (("services.cli", "lag"), "kafka"),
    "kasparro topics": (("services.cli", "topics"), "kafka"),
    "kasparro migrate": (("services.cli", "migrate"), "postgres"),
}


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_with_a_wrong_credential_ends_with_one_line(
    secured: Secured, tls_database_url: str, process: str
) -> None:
    words, wrong = PROCESSES[process]
    environment = secured.environment("scram-tls") | {"DATABASE_URL": tls_database_url, "KASPARRO_STATE": "/nonexistent"}
    if wrong == "kafka":
        environment |= {"KAFKA_SASL_PASSWORD": WRONG}
    else:
        environment |= {"DATABASE_URL": wrong_password(tls_database_url)}
    started = await start(words, environment)
    async with asyncio.timeout(ENDS_WITHIN):
        said, told = await started.communicate()
    lines = told.decode().splitlines()
    assert (started.returncode, len(lines)) == (EXIT_BAD_SETTINGS, 1), told.decode()
    assert lines[0].startswith("error: ")
    assert ("KAFKA_SASL_PASSWORD" if wrong == "kafka" else "DATABASE_URL") in lines[0]
    for secret in (PASSWORD, WRONG, str(urlsplit(tls_database_url).password)):
        assert secret not in said.decode() + told.decode()


async def test_a_process_waits_for_servers_that_are_away(secured: Secured, tls_database_url: str) -> None:
    nowhere = {
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{free_port()}",
        "DATABASE_URL": f"postgresql://u:p@{LOOPBACK}:{free_port()}/d",
    }
    started = [
        await start((module,), secured.environment("scram-tls") | nowhere) for module in ("services.normalizer", "services.query")
    ]
    try:
        ended = [asyncio.create_task(one.wait()) for one in started]
        done, _ = await asyncio.wait(ended, timeout=STAYS, return_when=asyncio.FIRST_COMPLETED)
        assert not done
    finally:
        for one in started:
            one.kill()
            await one.communicate()


def spoilt(secured: Secured, listener: str, changes: Mapping[str, str | None]) -> dict[str, str]:
    environment: dict[str, str | None] = {**secured.environment(listener), **changes}
    if environment.get("KAFKA_SSL_CA_FILE") == "OTHER":
        environment["KAFKA_SSL_CA_FILE"] = str(secured.other_ca_file)
    return {name: value for name, value in environment.items() if value is not None}


async def start(words: tuple[str, ...], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    ports = {"PORT": str(free_port()), "NORMALIZER_HEALTH_PORT": "0", "LOG_FORMAT": "json", "ETL_ENABLED": "false"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *words,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **ports, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

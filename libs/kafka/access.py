"""Whether the broker lets us in, and if not, why: what aiokafka's clients log, forget, and try again for ever."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from aiokafka import errors
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from libs.kafka.connection import KafkaConnection
from libs.kafka.security import Security
from libs.process.access import AccessRefusedError

KNOCK_SECONDS: Final = 8.0
"""Longest for one broker, finding out why it refuses us included."""
MOST_BROKERS: Final = 9
OTHER_NAME: Final = (62, 64)
"""OpenSSL's codes: the certificate is for another host name, for another address."""

Place = tuple[str, int]


class KafkaRefusedError(AccessRefusedError):
    """The broker will not have us, or is not who it should be; the message says why and which variable to mend."""


async def knock(connection: KafkaConnection) -> bool:
    """Return whether a broker lets us in: one that is named, and one of those it names in turn. False when none answers.

    Raises KafkaRefusedError when those that answer refuse us.
    """
    named = [(host, port) for host, port, _family in collect_hosts(connection.bootstrap_servers)]
    advertised = await _first_to_let_in(connection, named)
    return advertised is not None and await _first_to_let_in(connection, advertised[:MOST_BROKERS]) is not None


async def _first_to_let_in(connection: KafkaConnection, places: Sequence[Place]) -> list[Place] | None:
    refusal: KafkaRefusedError | None = None
    for place in places:
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                return await _visit(connection, place)
        except KafkaRefusedError as error:
            refusal = refusal or error
        except (errors.KafkaError, OSError, TimeoutError):
            continue
    if refusal is not None:
        raise refusal
    return None


async def _visit(connection: KafkaConnection, place: Place) -> list[Place]:
    """Return where the cluster's brokers say that they are. Raises KafkaRefusedError, or what the driver raises."""
    try:
        async with _connected(connection, place) as broker:
            answer = await broker.send(MetadataRequest([]))
            return [(host, port) for _node, host, port, *_rack in answer.brokers]
    except (errors.KafkaError, OSError) as error:
        if reason := await _refusal(connection, place, error):
            raise KafkaRefusedError(f"Kafka at {place[0]}:{place[1]} {reason}") from error
        raise


@asynccontextmanager
async def _connected(connection: KafkaConnection, place: Place) -> AsyncIterator[Any]:
    options = {name: value for name, value in connection.options().items() if name != "bootstrap_servers"}
    broker = await create_conn(*place, **options)
    try:
        yield broker
    finally:
        broker.close()


async def _refusal(connection: KafkaConnection, place: Place, error: Exception) -> str | None:
    """Say why we are refused and what to mend; None when nothing shows that asking again would not help."""
    security = connection.security
    if isinstance(error, errors.SaslAuthenticationFailed):
        said = ", ".join(str(each) for each in error.args if each)
        return (
            f"refuses the user {security.username} with {security.mechanism} ({said}): "
            "correct KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD"
        )
    if isinstance(error, errors.UnsupportedSaslMechanismError):
        offered = await _mechanisms(connection, place) or ["others"]
        return f"does not take {security.mechanism}: set KAFKA_SASL_MECHANISM to {' or '.join(offered)}"
    if isinstance(error, errors.IllegalSaslStateError):
        return f"asks for no password there: set KAFKA_SECURITY_PROTOCOL={'SSL' if security.uses_tls else 'PLAINTEXT'}"
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError) and (reason := _tls_refusal(cause, security)):
            return reason
    return await _other_protocol(connection, place)


def _tls_refusal(error: ssl.SSLError, security: Security) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in OTHER_NAME:
            return (
                f"shows a certificate for another name ({error.verify_message}): correct KAFKA_BOOTSTRAP_SERVERS or the listener"
            )
        trusted = f"those in {security.ca_file}" if security.ca_file else "the system's authorities"
        return f"shows a certificate that {trusted} do not vouch for ({error.verify_message}): set KAFKA_SSL_CA_FILE to who does"
    said = str(error.reason or "")
    if "ALERT" in said and ("CERT" in said or "UNKNOWN_CA" in said):
        ours = f"does not accept the one in {security.cert_file}" if security.cert_file else "was shown none"
        return f"asks for a client certificate and {ours} ({_plain(said)}): set KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE"
    if "ALERT" in said:
        return f"agrees on no TLS with us ({_plain(said)})"
    return None


def _plain(reason: str) -> str:
    return reason.lower().replace("_", " ")


async def _other_protocol(connection: KafkaConnection, place: Place) -> str | None:
    """The broker hung up or spoke gibberish, as it does in an outage. Find out whether it would speak another protocol."""
    security = connection.security
    if not security.uses_tls and await _speaks_tls(place):
        return f"speaks TLS there: set KAFKA_SECURITY_PROTOCOL={'SASL_SSL' if security.uses_sasl else 'SSL (or SASL_SSL)'}"
    if security.uses_tls and await _lets_in(replace(connection, security=Security()), place):
        return f"speaks no TLS there: set KAFKA_SECURITY_PROTOCOL={'SASL_PLAINTEXT' if security.uses_sasl else 'PLAINTEXT'}"
    if not security.uses_sasl and (offered := await _mechanisms(connection, place)):
        wanted = "SASL_SSL" if security.uses_tls else "SASL_PLAINTEXT"
        return f"asks for a password: set KAFKA_SECURITY_PROTOCOL={wanted} and KAFKA_SASL_MECHANISM to {' or '.join(offered)}"
    return None


async def _speaks_tls(place: Place) -> bool:
    """Shake hands and go: nothing is sent, so nobody has to be trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(*place, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason or "")
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _lets_in(connection: KafkaConnection, place: Place) -> bool:
    try:
        async with _connected(connection, place):
            return True
    except (errors.KafkaError, OSError):
        return False


async def _mechanisms(connection: KafkaConnection, place: Place) -> Sequence[str]:
    """Return what the broker takes passwords by, none when it does not ask for any."""
    security = connection.security
    without = replace(
        security, protocol="SSL" if security.uses_tls else "PLAINTEXT", mechanism=None, username=None, password=None
    )
    try:
        async with _connected(replace(connection, security=without), place) as broker:
            answer = await broker.send(SaslHandShakeRequest("none, to be told which there are"))
    except (errors.KafkaError, OSError):
        return []
    return sorted(each for each in answer.enabled_mechanisms if each != "OAUTHBEARER")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

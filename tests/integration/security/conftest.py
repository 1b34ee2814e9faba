"""One broker that asks for credentials at four of its listeners, and a Postgres that speaks TLS; trustme vouches for both."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.ports import LOOPBACK, free_port
from tests.conftest import create_database
from tests.integration.security.tls_front import tls_front

USER, PASSWORD = "kasparro", "s3cret-of-the-test"
SCRAM = tuple(f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512))


@dataclass(frozen=True)
class Secured:
    """Listener -> address, and the files that the clients need."""

    addresses: Mapping[str, str]
    ca_file: Path
    other_ca_file: Path
    client_file: Path
    sasl: Mapping[str, str] = field(default_factory=lambda: {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD})

    def environment(self, listener: str) -> dict[str, str]:
        """What lets a service in at the listener."""
        ca, own = {"KAFKA_SSL_CA_FILE": str(self.ca_file)}, {"KAFKA_SSL_CERT_FILE": str(self.client_file)}
        given = {
            "plain": {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN", **self.sasl},
            "scram": {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", **self.sasl},
            "scram-tls": {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", **self.sasl, **ca},
            "mutual-tls": {"KAFKA_SECURITY_PROTOCOL": "SSL", **ca, **own},
            "open": {},
        }[listener]
        return {"KAFKA_BOOTSTRAP_SERVERS": self.addresses[listener], **given}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def secured(nursery: Nursery, kafka_jars: Jars, session_folder: Path, authority: trustme.CA) -> Iterator[Secured]:
    folder = session_folder / "secured-kafka"
    folder.mkdir()
    server = write_identity(authority.issue_cert("localhost", LOOPBACK), folder / "server.pem")
    client = write_identity(authority.issue_cert("kasparro.client"), folder / "client.pem")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other-ca.pem"))
    protocols = {"SCRAM": "SASL_PLAINTEXT", "SCRAMTLS": "SASL_SSL", "MUTUAL": "SSL"}
    ports = {name: free_port() for name in protocols}
    listeners = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())
    login = "org.apache.kafka.common.security"
    settings = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.scram.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.scram.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.scramtls.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scramtls.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
    }
    broker = asyncio.run(start_broker(nursery, kafka_jars, folder / "kafka", settings=settings, scram=SCRAM))
    addresses = {
        "open": broker.bootstrap_servers,
        "plain": f"{LOOPBACK}:{ports['SCRAM']}",
        "scram": f"{LOOPBACK}:{ports['SCRAM']}",
        "scram-tls": f"{LOOPBACK}:{ports['SCRAMTLS']}",
        "mutual-tls": f"{LOOPBACK}:{ports['MUTUAL']}",
    }
    yield Secured(addresses, folder / "ca.pem", folder / "other-ca.pem", client)
    broker.child.reap()


@pytest.fixture(scope="session")
def tls_database_url(
    postgres_server_url: str, migrated_template: str, session_folder: Path, authority: trustme.CA, secured: Secured
) -> Iterator[str]:
    """A migrated database, behind TLS, whose server is to be verified: sslmode=verify-full."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_identity(authority.issue_cert(LOOPBACK), session_folder / "postgres.pem"))
    own = urlsplit(postgres_server_url)
    name = create_database(postgres_server_url, template=migrated_template)
    with tls_front(own.port or 5432, context) as port:
        account = own.netloc.rpartition("@")[0]
        yield f"postgresql://{account}@{LOOPBACK}:{port}/{name}?sslmode=verify-full&sslrootcert={secured.ca_file}"


def write_identity(issued: trustme.LeafCert, path: Path) -> Path:
    """Write the key, in the form that Java reads, and the chain into one file that its owner alone reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + b"".join(one.bytes() for one in issued.cert_chain_pems)
    )
    with suppress(PermissionError):
        path.chmod(0o600)
    return path

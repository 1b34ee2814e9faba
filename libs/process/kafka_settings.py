"""Where the broker is, and how we show it who we are: the settings of every process that speaks with Kafka."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from libs.kafka.connection import KafkaConnection
from libs.kafka.security import Mechanism, Protocol, Security
from libs.process.settings import BootstrapServers, Settings


class KafkaSecuritySettings(Settings):
    """TLS and SASL. What contradicts itself, and a file that is no good, is refused before anything connects."""

    kafka_security_protocol: Protocol = Field("PLAINTEXT", description="How to reach the broker: with TLS, with SASL, or both")
    kafka_sasl_mechanism: Mechanism | None = Field(None, description="How the password is shown; needed by both SASL protocols")
    kafka_sasl_username: str | None = Field(None, description="Who we are to the broker")
    kafka_sasl_password: SecretStr | None = Field(None, description="Its password")
    kafka_ssl_ca_file: Path | None = Field(
        None, description="PEM file of the authorities that vouch for the brokers; the system's by default"
    )
    kafka_ssl_cert_file: Path | None = Field(None, description="PEM file of our own certificate, where brokers ask for one")
    kafka_ssl_key_file: Path | None = Field(None, description="PEM file of its key, unless that is in the certificate's file")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="What opens the key, if it is encrypted")

    @model_validator(mode="after")
    def _works(self) -> "KafkaSecuritySettings":
        self.kafka_security()
        return self

    def kafka_security(self) -> Security:
        """Return the same as a value. Raises SecurityError, which names the variable, when it cannot work."""
        return Security(
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_sasl_username,
            password=_revealed(self.kafka_sasl_password),
            ca_file=self.kafka_ssl_ca_file,
            cert_file=self.kafka_ssl_cert_file,
            key_file=self.kafka_ssl_key_file,
            key_password=_revealed(self.kafka_ssl_key_password),
        )


class KafkaSettings(KafkaSecuritySettings):
    """Where the broker is."""

    kafka_bootstrap_servers: BootstrapServers = Field(description="host:port, several joined by commas")

    def kafka_connection(self, client_id: str) -> KafkaConnection:
        """Return what a client connects with, under a name for the broker's logs."""
        return KafkaConnection(self.kafka_bootstrap_servers, client_id, security=self.kafka_security())


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

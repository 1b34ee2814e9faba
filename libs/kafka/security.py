"""TLS and SASL towards the broker: what may be combined, and why a combination is refused."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class SecurityError(ValueError):
    """The settings contradict each other, or a file is no good. The message begins with the variable's name."""


@dataclass(frozen=True, slots=True)
class Security:
    """How we show who we are, and know who the broker is. Made from settings; raises SecurityError when it cannot work.

    Without `ca_file` the system's authorities are trusted. The broker's host name is always compared with its certificate.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work before anything connects; files are read for that too."""
        self._check_sasl()
        self._check_tls()

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def uses_sasl(self) -> bool:
        """Whether we show a name and a password."""
        return self.protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    def ssl_context(self) -> ssl.SSLContext:
        """Return what a client's TLS goes by, read from the files anew."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, host names too; trusts nobody yet
            with _told("KAFKA_SSL_CA_FILE", self.ca_file, "holds no certificate in PEM"):
                context.load_verify_locations(cafile=self.ca_file)
        if self.cert_file is not None:
            self._load_own_certificate(context, self.cert_file)
        return context

    def _load_own_certificate(self, context: ssl.SSLContext, cert_file: Path) -> None:
        key_file, password = self.key_file or cert_file, self.key_password or ""
        wrong = "is no PEM certificate, its key is not the one in KAFKA_SSL_KEY_FILE, or KAFKA_SSL_KEY_PASSWORD does not open it"
        with _told("KAFKA_SSL_CERT_FILE", cert_file, wrong), key_file.open("rb"):
            context.load_cert_chain(cert_file, key_file, lambda: password)  # without a callable OpenSSL asks the terminal

    def _check_sasl(self) -> None:
        given = {
            "KAFKA_SASL_MECHANISM": self.mechanism,
            "KAFKA_SASL_USERNAME": self.username,
            "KAFKA_SASL_PASSWORD": self.password,
        }
        if not self.uses_sasl:
            self._refuse_unused(given, "SASL_SSL (or SASL_PLAINTEXT)")
            return
        for variable, value in given.items():
            if value is None:
                choice = "; it is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512" if variable.endswith("MECHANISM") else ""
                raise SecurityError(f"{variable}: is missing, and KAFKA_SECURITY_PROTOCOL={self.protocol} needs it{choice}")

    def _check_tls(self) -> None:
        files = {
            "KAFKA_SSL_CA_FILE": self.ca_file,
            "KAFKA_SSL_CERT_FILE": self.cert_file,
            "KAFKA_SSL_KEY_FILE": self.key_file,
        }
        if not self.uses_tls:
            self._refuse_unused({**files, "KAFKA_SSL_KEY_PASSWORD": self.key_password}, "SSL or SASL_SSL")
            return
        if self.cert_file is None and (self.key_file or self.key_password):
            raise SecurityError("KAFKA_SSL_CERT_FILE: is missing, and a key is of no use without its certificate")
        for variable, path in files.items():
            if path is not None:
                _check_readable(variable, path)
        self.ssl_context()

    def _refuse_unused(self, given: Mapping[str, object], needed: str) -> None:
        """A credential that is silently not used would look as if it protected something."""
        for variable, value in given.items():
            if value is not None:
                raise SecurityError(
                    f"{variable}: is set, and KAFKA_SECURITY_PROTOCOL={self.protocol} makes no use of it; "
                    f"set that to {needed}, or unset this"
                )


def _check_readable(variable: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise SecurityError(f"{variable}: {path} cannot be read: {error.strerror}") from None


@contextmanager
def _told(variable: str, path: Path, wrong: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise SecurityError(f"{variable}: {path} {wrong}") from None
    except OSError as error:
        raise SecurityError(f"{variable}: {path} cannot be read: {error.strerror}") from None


PLAIN_TEXT: Final = Security()

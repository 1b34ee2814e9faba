"""How every client reaches the broker, and as whom."""

import ssl
from dataclasses import dataclass, field
from typing import Any

from libs.kafka.security import PLAIN_TEXT, Security


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the broker is and who we are to it (the client id shows in the broker's logs and metrics)."""

    bootstrap_servers: str
    client_id: str
    request_timeout_ms: int = 10_000
    """Bounds each request, and each attempt to connect, the handshakes of TLS and SASL included."""
    security: Security = PLAIN_TEXT
    _contexts: list[ssl.SSLContext] = field(init=False, default_factory=list, repr=False, compare=False)

    def options(self) -> dict[str, Any]:
        """What each aiokafka client takes. The password is among it: never log this."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            **self._security_options(),
        }

    def _security_options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"security_protocol": self.security.protocol}
        if self.security.uses_tls:
            if not self._contexts:  # read once: a process opens many clients
                self._contexts.append(self.security.ssl_context())
            found["ssl_context"] = self._contexts[0]
        if self.security.uses_sasl:
            found |= {
                "sasl_mechanism": self.security.mechanism,
                "sasl_plain_username": self.security.username,
                "sasl_plain_password": self.security.password,
            }
        return found

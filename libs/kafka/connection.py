"""How every client reaches the broker."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the broker is and who we are to it (the client id shows in the broker's logs and metrics)."""

    bootstrap_servers: str
    client_id: str
    request_timeout_ms: int = 10_000

    def options(self) -> dict[str, Any]:
        """What each aiokafka client takes."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
        }

"""Where a producer tells of itself."""

from pydantic import Field

from libs.process.settings import TracingSettings
from libs.producing.telling import Audience
from libs.telemetry.serving import HealthAddress


class TellingSettings(TracingSettings):
    """Its own small HTTP server, and its spans."""

    producer_health_host: str = Field(
        "127.0.0.1", description="Address that a producer's GET /health, /ready and /metrics listen on"
    )
    producer_health_port: int = Field(
        0, description="Port of the same, another for each producer on a machine; 0: none", ge=0, le=65_535
    )

    @property
    def audience(self) -> Audience:
        """The same as a value."""
        address = HealthAddress(self.producer_health_host, self.producer_health_port, "PRODUCER_HEALTH_PORT")
        return Audience(address if self.producer_health_port else None, self.otel_exporter_otlp_endpoint)

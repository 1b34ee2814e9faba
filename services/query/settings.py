"""What an operator may change about the query service."""

from ipaddress import ip_address

from pydantic import Field

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import (
    AlertSettings,
    ApiToken,
    LogSettings,
    PostgresSettings,
    ProgressSettings,
    SandboxSettings,
    TracingSettings,
)
from libs.process.source_settings import SourceSettings


class QuerySettings(
    LogSettings,
    KafkaSettings,
    PostgresSettings,
    ProgressSettings,
    SandboxSettings,
    SourceSettings,
    AlertSettings,
    TracingSettings,
):
    """The query service's environment."""

    host: str = Field("127.0.0.1", description="Address that the HTTP API listens on")
    port: int = Field(8000, description="Port of the HTTP API", ge=0, le=65_535)
    api_token: ApiToken | None = Field(None, description="When set, POST needs `Authorization: Bearer <token>`")
    api_open: bool = Field(False, description="Let anyone who reaches the API POST without a token, not only this machine")
    http_connections: int = Field(
        1_000,
        description="Most connections that the HTTP API holds open; one more takes the place of the one idle longest",
        ge=10,
        le=50_000,
    )
    stream_clients: int = Field(
        1_000, description="Most clients that follow /data/stream and /data/ws, beside HTTP_CONNECTIONS", ge=1, le=20_000
    )
    query_connections: int = Field(8, description="Most Postgres connections that the HTTP API holds", ge=1, le=200)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

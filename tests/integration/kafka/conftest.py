import pytest

from libs.kafka.connection import KafkaConnection


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers, "tests", request_timeout_ms=5_000)

"""What is told of tracing itself."""

import pytest
from structlog.testing import capture_logs

from libs.telemetry.tracing import opened_tracer


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://collector.test:4318", "http://collector.test:4318"),
        ("https://tenant:hunter2@collector.test:4318/hunter2?token=hunter2", "https://collector.test:4318"),
        ("http://tenant:hunter2/@collector.test", "no URL"),
    ],
)
async def test_a_password_in_the_endpoint_is_not_logged(endpoint: str, told: str) -> None:
    with capture_logs() as logs:
        async with opened_tracer("test", "1", endpoint):
            pass
    assert [line["endpoint"] for line in logs if line["event"] == "tracing"] == [told]
    assert "hunter2" not in str(logs)

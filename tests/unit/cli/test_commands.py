"""What the commands say of wrong use, before anything starts."""

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app


@pytest.mark.parametrize("option", ["--port", "--kafka-port", "--postgres-port"])
@pytest.mark.parametrize("port", ["0", "-1", "99999"])
def test_a_port_that_there_is_not_is_wrong_use(option: str, port: str) -> None:
    ended = CliRunner().invoke(app, ["up", "--dry-run", option, port])
    assert ended.exit_code == 2
    assert option in ended.output

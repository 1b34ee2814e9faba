"""What the commands say of wrong use, before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.settings import ROOT


@pytest.mark.parametrize("option", ["--port", "--kafka-port", "--postgres-port"])
@pytest.mark.parametrize("port", ["0", "-1", "99999"])
def test_a_port_that_there_is_not_is_wrong_use(option: str, port: str) -> None:
    ended = CliRunner().invoke(app, ["up", "--dry-run", option, port])
    assert ended.exit_code == 2
    assert option in ended.output


def test_a_source_that_there_is_not_is_wrong_use_and_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", "http://127.0.0.1:1")
    for source in ("nope", "csv?x=1", "../health"):
        ended = CliRunner().invoke(app, ["run", source, "--dry-run"])
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "coingecko" in ended.stderr


def test_an_api_that_is_away_is_told_without_our_internals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", "http://127.0.0.1:1")
    ended = CliRunner().invoke(app, ["run", "csv"])
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "does not answer at http://127.0.0.1:1/etl/run/csv" in ended.stderr
    assert "ConnectionKey" not in ended.stderr


ASKING = [["status"], ["status", "--json"], ["watch"], ["watch", "--json"], ["watch", "--once"], ["watch", "btc"]]


@pytest.mark.parametrize("words", ASKING)
def test_a_picture_of_an_api_that_is_away_is_none(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", "http://127.0.0.1:2")
    ended = CliRunner().invoke(app, [*words, "--api", "http://127.0.0.1:1"])
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
    assert "does not answer at http://127.0.0.1:1/health" in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--api", "nowhere"], "http://host:port"),
        (["status", "--api", "http://user:secret@host"], "http://host:port"),
        (["status", "--api", "http://host:99999"], "http://host:port"),
        (["status", "--api", "http://host:port"], "http://host:port"),
        (["watch", "--api", "http://[::1"], "http://host:port"),
        (["watch", "--api", "file:///etc"], "http://host:port"),
        (["watch", "--top", "0"], "--top"),
        (["watch", "--top", "501"], "--top"),
        (["watch", "--source", "nosuch"], "coingecko"),
        (["watch", "x" * 65], "at most 64"),
        (["watch", " "], "blank"),
    ],
)
def test_a_picture_that_there_cannot_be_is_wrong_use_before_anything_is_asked(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", "http://127.0.0.1:1")
    ended = CliRunner().invoke(app, words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_health_is_asked_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", "http://127.0.0.1:1/")
    ended = CliRunner().invoke(app, ["health"])
    assert ended.exit_code == 3
    assert "http://127.0.0.1:1/health" in ended.stderr


def test_settings_come_from_the_clone_and_not_from_where_it_is_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KASPARRO_API_URL=http://elsewhere\n")
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["run", "csv", "--dry-run"])
    assert "elsewhere" not in ended.output
    assert Path.cwd() == ROOT


@pytest.mark.parametrize("servers", ["host:abc", " , ", "127.0.0.1:99999"])
@pytest.mark.parametrize("command", [["up", "--dry-run"], ["topics", "--dry-run"], ["lag"]])
def test_servers_that_cannot_be_are_one_line_that_names_the_variable(
    servers: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    ended = CliRunner().invoke(app, command)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: KAFKA_BOOTSTRAP_SERVERS: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["health"], ["run", "csv"], ["status"], ["watch", "--once"]])
@pytest.mark.parametrize("address", ["host:8000", "http://user:secret@host", "http://host:99999"])
def test_an_address_that_the_environment_has_wrong_is_told_without_its_password(
    words: list[str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KASPARRO_API_URL", address)
    ended = CliRunner().invoke(app, words)
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "KASPARRO_API_URL must be http://host:port" in ended.stderr
    assert "secret" not in ended.stderr

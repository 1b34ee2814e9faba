"""One command from an empty folder to served assets, and nothing left behind however it ends."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from libs.contracts.topics import TOPICS
from libs.devstack.ports import free_port
from tests.acceptance.conftest import ROOT, STOP_SECONDS, StartUp, Up

pytestmark = pytest.mark.timeout(600)
SOURCES = {"coingecko", "coinpaprika", "csv"}


def succeeded(up: Up) -> set[str]:
    return {run["source"] for run in up.get("/stats")["runs"] if run["status"] == "succeeded"}


def command(up: Up, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "KASPARRO_STATE": str(up.state)}
    line = [sys.executable, "-m", "services.cli", *words]
    return subprocess.run(
        line,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_from_an_empty_folder_to_all_sources_and_on_again_after_a_stop(start_up: StartUp) -> None:
    up = start_up()
    up.wait_for_banner()
    assert "sandbox: true" in up.said
    up.wait_until(lambda: succeeded(up) == SOURCES, 60, "a run of each source")
    assert up.get("/health")["sandbox"] is True
    up.wait_until(lambda: up.get("/data?limit=1")["total"] > 1_000, 5, "every asset")
    total = up.get("/data?limit=1")["total"]
    assert command(up, "topics").stdout.count("exists") == len(TOPICS)
    assert "missing" not in command(up, "migrate", "--status").stdout
    assert '"status": "ok"' in command(up, "health").stdout
    ran = command(up, "run", "csv")
    assert (ran.returncode, "csv: succeeded" in ran.stdout) == (0, True), ran
    lag = command(up, "lag", "--fail-above", "0")
    assert (lag.returncode, "0 messages behind" in lag.stdout) == (0, True), lag
    status = command(up, "status")
    assert (status.returncode, "SANDBOX" in status.stdout) == (0, True), status
    watched = command(up, "watch", "--once", "btc", "eth")
    assert (watched.returncode, "Powered by CoinPaprika" in watched.stdout) == (0, True), watched

    assert up.stop() == 0
    assert up.family == []
    assert command(up, "lag").returncode == 2  # nothing runs, nothing is named

    again = start_up(port=up.port)
    again.wait_for_banner()
    assert again.get("/data?limit=1")["total"] >= total
    assert "0 migrations applied" in again.said
    assert again.stop(signal.SIGINT) == 0
    assert again.family == []


def test_killed_it_leaves_nothing_and_the_next_start_goes_on(start_up: StartUp) -> None:
    up = start_up("--no-producers")
    up.wait_for_banner()
    assert len(up.family) > 4
    up.process.kill()
    up.process.wait()
    again = start_up("--no-producers", port=up.port)  # at once: it waits for what the killed one started
    again.wait_for_banner()
    assert again.stop() == 0
    assert up.family == []


def test_a_second_one_in_the_same_folder_says_where_the_first_is(start_up: StartUp) -> None:
    up = start_up("--only", "query")
    up.wait_for_banner()
    second = start_up()
    assert second.wait_for_end() == 1
    assert f"process {up.process.pid}" in second.said
    assert f"http://127.0.0.1:{up.port}" in second.said
    refused = command(up, "clean-state")
    assert (refused.returncode, "then empty its state" in refused.stderr) == (1, True), refused
    assert up.get("/health")["status"]


def test_a_port_in_use_is_named_before_anything_starts(start_up: StartUp) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up = start_up(port=taken.getsockname()[1])
        assert up.wait_for_end() == 1
    assert f"PORT={up.port + 1}" in up.said
    assert not (up.state / "sandbox").exists()


def test_an_address_that_is_not_ours_is_not_called_a_port_in_use(start_up: StartUp) -> None:
    up = start_up(HOST="192.0.2.1")
    assert up.wait_for_end() == 2
    assert f"port {up.port} of 192.0.2.1" in up.said
    assert "in use" not in up.said


def test_named_servers_that_are_away_are_told_in_a_line(start_up: StartUp) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db"}
    up = start_up(SANDBOX="never", **away)
    assert up.wait_for_end(30) == 3
    assert "error: Postgres at 127.0.0.1:1 cannot be used" in up.said
    assert "Traceback" not in up.said
    assert "hunter2" not in up.said


def test_a_broker_that_dies_ends_everything_and_says_so(start_up: StartUp) -> None:
    up = start_up("--no-producers")
    up.wait_for_banner()
    broker = next(each for each in up.family if "kafka.Kafka" in each.cmdline())
    broker.kill()
    assert up.wait_for_end() == 1
    assert "kafka died" in up.said
    assert "broker.log" in up.said
    assert up.family == []


def test_a_service_with_bad_settings_ends_everything_and_is_named(start_up: StartUp) -> None:
    up = start_up("--only", "query", LOG_LEVEL="LOUD")
    assert up.wait_for_end(60) == 1
    assert "query refuses its settings" in up.said
    assert "LOG_LEVEL" in up.said
    assert up.family == []


def test_a_service_that_crashes_is_started_again(start_up: StartUp) -> None:
    up = start_up("--no-producers")
    up.wait_for_banner()
    normalizer = next(each for each in up.family if "services.normalizer" in each.cmdline())
    normalizer.kill()
    up.wait_until(
        lambda: any("services.normalizer" in each.cmdline() and each.pid != normalizer.pid for each in up.family),
        STOP_SECONDS,
        "another normalizer",
    )
    assert "normalizer ended with exit code -9; starting it again" in up.said


def test_jars_that_cannot_be_had_say_what_else_to_do(start_up: StartUp, tmp_path: Path) -> None:
    up = start_up(
        "--only", "query", MAVEN_REPOSITORY_URL=f"http://127.0.0.1:{free_port()}", KASPARRO_TOOLS=str(tmp_path / "tools")
    )
    assert up.wait_for_end(60) == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in up.said
    assert up.family == []


def test_named_servers_never_get_made_up_data(start_up: StartUp) -> None:
    up = start_up(DATABASE_URL="postgresql://somebody@127.0.0.1:1/real")
    assert up.wait_for_end(30) == 2
    assert "SANDBOX=always" in up.said


def test_a_dry_run_starts_nothing(start_up: StartUp) -> None:
    up = start_up("--dry-run")
    assert up.wait_for_end(30) == 0
    assert "Kafka embedded" in up.said
    assert not up.state.exists()

"""The compose project as an operator meets it: started from nothing, asked, killed, scaled, stopped. In this order."""

import time
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest

from tests.images.conftest import Answer, Project, until

pytestmark = pytest.mark.timeout(2_400)

SOURCES = {"coingecko", "coinpaprika", "csv"}
LONG_RUNNING = ["producer-coingecko", "producer-coinpaprika", "producer-csv", "normalizer", "query", "sandbox"]
KILL_THE_SERVICE = (
    "import os, signal\n"
    "own = [int(each) for each in os.listdir('/proc') if each.isdecimal() and int(each) not in (1, os.getpid())]\n"
    "os.kill(min(own), signal.SIGKILL)"
)
"""Process 1 is the engine's init, which cannot be killed from within; the service is its first child."""
MOST_SECONDS_TO_STOP = 10.0
COUNTS_ADD_UP = (
    "SELECT sum(fetched) = sum(unchanged + stored + duplicate + dead_lettered) FROM etl_runs WHERE status = 'succeeded'"
)
STORED_IS_THERE = """
    SELECT sum(stored)
        <= (SELECT count(*) FROM raw_coingecko) + (SELECT count(*) FROM raw_coinpaprika) + (SELECT count(*) FROM raw_csv)
    FROM etl_runs WHERE status = 'succeeded'"""
"""At most: a run that is under way has stored rows too."""
EVERYTHING = """
    WITH raw AS (
        SELECT tick_id FROM raw_coingecko UNION ALL SELECT tick_id FROM raw_coinpaprika UNION ALL SELECT tick_id FROM raw_csv
    ), told AS (
        SELECT asset_uid, (to_jsonb(assets) - 'version' - 'updated_at' - 'changed_by')::text AS whole FROM assets
    )
    SELECT (SELECT md5(string_agg(concat_ws(' ', source, source_id, tick_id), ',' ORDER BY source, source_id)) FROM quotes),
           (SELECT md5(string_agg(whole, ',' ORDER BY asset_uid)) FROM told),
           (SELECT md5(string_agg(tick_id::text, ',' ORDER BY tick_id)) FROM raw),
           (SELECT count(*) FROM raw),
           (SELECT count(*) FROM etl_runs WHERE status = 'succeeded')"""
"""What a replay must bring back: all but what tells of the replay itself."""
DUMP = "/tmp/kasparro.dump"  # noqa: S108 - in the container


def lag_is_gone(project: Project) -> bool:
    checkpoints: list[dict[str, Any]] = project.ask("GET", "/stats/checkpoints").body["checkpoints"]
    return all(each["lag_messages"] == 0 for each in checkpoints)


def run_everything(project: Project) -> None:
    """Ask until all have succeeded at once: after a kill, or on full processors, a command may not be taken in time."""
    answers: list[Answer] = []

    def ask() -> bool:
        answers.append(project.ask("POST", "/etl/run-all", token=project.token))
        return answers[-1].status == HTTPStatus.OK

    until(ask, "a run of everything")
    runs = [report["run"] for report in answers[-1].body["runs"]]
    assert {(run["source"], run["status"]) for run in runs} == {(source, "succeeded") for source in SOURCES}, runs


def assert_every_tick_arrived(project: Project) -> None:
    """The counts of the runs that have ended add up, and what they say was stored is there."""
    assert project.query(COUNTS_ADD_UP) == "t"
    assert project.query(STORED_IS_THERE) == "t"


def test_the_jobs_ended_and_everything_else_is_healthy(project: Project) -> None:
    for job in ("migrate", "topics"):
        (container,) = project.containers(job)
        assert (container["State"]["Status"], container["State"]["ExitCode"]) == ("exited", 0)
    for service in LONG_RUNNING:
        (container,) = project.containers(service)
        assert container["State"]["Health"]["Status"] == "healthy", container["State"]


def test_data_are_served_and_say_that_they_are_made_up(project: Project) -> None:
    until(lambda: project.ask("GET", "/data?limit=1").body["total"] > 0, "assets")
    assert project.ask("GET", "/health").body["sandbox"] is True


def test_nobody_polls_without_the_token(project: Project) -> None:
    assert project.ask("POST", "/etl/run/csv").status == HTTPStatus.UNAUTHORIZED


def test_all_three_sources_are_run(project: Project) -> None:
    run_everything(project)
    assert_every_tick_arrived(project)


@pytest.mark.parametrize("service", ["normalizer", "producer-coinpaprika", "query"])
def test_a_service_that_is_killed_comes_back_and_goes_on(project: Project, service: str) -> None:
    (before,) = project.containers(service)
    project.compose("exec", "--detach", service, "python", "-c", KILL_THE_SERVICE)  # it dies with the container

    def is_back() -> bool:
        (now,) = project.containers(service)
        return (now["RestartCount"], now["State"]["Health"]["Status"]) == (before["RestartCount"] + 1, "healthy")

    took = until(is_back, f"the return of {service}")
    (after,) = project.containers(service)
    assert datetime.fromisoformat(after["State"]["StartedAt"]) > datetime.fromisoformat(before["State"]["StartedAt"])
    print(f"{service} was killed and healthy again after {took:.1f} s")
    run_everything(project)
    assert_every_tick_arrived(project)


def test_normalizers_and_producers_are_scaled_up_and_down(project: Project) -> None:
    for normalizers, producers in ((3, 2), (1, 1)):
        scales = (f"normalizer={normalizers}", f"producer-coingecko={producers}")
        project.compose("up", "--detach", "--wait", *(word for scale in scales for word in ("--scale", scale)))
        until(partial(has_members, project, normalizers), f"{normalizers} normalizers in the group")
        run_everything(project)
        assert_every_tick_arrived(project)


def has_members(project: Project, wanted: int) -> bool:
    members: int | None = project.ask("GET", "/stats/checkpoints").body["members"]
    return members == wanted


def test_the_operators_command_reaches_the_broker_and_the_database(project: Project) -> None:
    until(lambda: lag_is_gone(project), "an end of the lag")
    assert "is 0 messages behind" in project.compose("run", "--rm", "operator", "lag")
    assert "missing" not in project.compose("run", "--rm", "operator", "migrate", "--status")


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_a_service_stops_when_it_is_told_to(project: Project, service: str) -> None:
    began = time.monotonic()
    project.compose("stop", service)
    took = time.monotonic() - began
    (container,) = project.containers(service)
    assert container["State"]["ExitCode"] == 0
    assert took < MOST_SECONDS_TO_STOP
    print(f"{service} stopped in {took:.1f} s")


def test_a_restored_backup_is_healed_by_an_offset_reset(project: Project) -> None:
    """As docs/operations.md says: the database of yesterday, and what came since then from the topics."""
    project.compose("up", "--detach", "--wait")
    run_everything(project)
    postgres = "exec", "-T", "postgres"
    project.compose(*postgres, "pg_dump", "-U", "kasparro", "-Fc", "-f", DUMP, "kasparro")
    run_everything(project)
    project.compose("stop", "producer-coingecko", "producer-coinpaprika", "producer-csv")
    until(lambda: lag_is_gone(project), "an end of the lag")
    before = project.query(EVERYTHING)

    project.compose("stop", "normalizer", "query")
    project.compose(*postgres, "dropdb", "-U", "kasparro", "--force", "kasparro")
    project.compose(*postgres, "createdb", "-U", "kasparro", "kasparro")
    project.compose(*postgres, "pg_restore", "-U", "kasparro", "-d", "kasparro", "-e", DUMP)
    restored = project.query(EVERYTHING)
    assert restored != before
    project.compose("run", "--rm", "operator", "migrate")
    said = project.compose("run", "--rm", "operator", "replay", "--to", "beginning").splitlines()
    project.compose("up", "--detach", "--wait", "normalizer", "query")
    took = until(lambda: project.query(EVERYTHING) == before, "the same rows as before")
    print(f"before   {before}\nrestored {restored}\n{said[-1]}\nthe same rows as before after {took:.1f} s")

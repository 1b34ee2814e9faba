"""`kasparro dead-letters` on the topics as they are declared; each test looks at the letters of a run of its own."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from libs.contracts.dead_letters import Origin, dead_letter_headers
from libs.contracts.topics import DEAD_LETTERS, SETTLEMENTS, SOURCE_TOPICS
from libs.domain.rejections import Reason, Rejection
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Position, Record
from libs.kafka.tailing import TopicRecord, read_to_end
from services.cli.__main__ import app

RAW = SOURCE_TOPICS["csv"].raw


@pytest.fixture
def connection(kafka_bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch) -> KafkaConnection:
    """A broker with the declared topics, and commands that find it."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap_servers)
    connection = KafkaConnection(kafka_bootstrap_servers, "test")
    asyncio.run(ensure_topics(connection, [RAW, DEAD_LETTERS, SETTLEMENTS]))
    return connection


def letter(run_id: UUID, value: bytes, *, offset: int = 1, reason: Reason = Reason.UNDECODABLE) -> Record:
    origin = Origin(RAW.name, 0 if offset >= 0 else -1, offset)
    headers = dead_letter_headers(Rejection(reason, "by\x1bhand"), origin, stage="normalizer", source="csv", run_id=run_id)
    return Record(DEAD_LETTERS.name, run_id.bytes, value, headers)


def published(connection: KafkaConnection, letters: Sequence[Record]) -> list[Position]:
    async def publish() -> list[Position]:
        async with open_publisher(connection) as publisher:
            return await publisher.publish(letters)

    return asyncio.run(publish())


def returned(connection: KafkaConnection, run_id: UUID) -> list[TopicRecord]:
    return [one for one in asyncio.run(read_to_end(connection, RAW.name)) if one.key == run_id.bytes]


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["dead-letters", *words])


def test_letters_are_listed_shown_and_redriven(connection: KafkaConnection) -> None:
    run_id, value = uuid4(), b"a\x00\xff\x1b[31m"
    (place, _) = published(
        connection, [letter(run_id, value), letter(run_id, b'{"a": 1}', offset=2, reason=Reason.NUL_CHARACTER)]
    )
    at = f"{place.partition}:{place.offset}"
    listed = asked("list", "--run", str(run_id), "--source", "csv", "--since", "1h")
    assert (listed.exit_code, "2 of 2 letters" in listed.stdout, at in listed.stdout) == (0, True, True)
    assert "\x1b" not in listed.stdout
    (found,) = json.loads(asked("list", "--run", str(run_id), "--error-class", "nul_character", "--json").stdout)["letters"]
    assert (found["state"], found["origin"]["offset"], found["attempt"], found["size"]) == ("waiting", 2, 1, 8)

    shown = asked("show", at)
    assert b64encode(value).decode() in shown.stdout
    assert "kasparro.run_id" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(asked("show", at, "--json").stdout)["value"] == {"base64": b64encode(value).decode()}
    assert asked("show", at, "--raw").stdout_bytes == value

    would = asked("redrive", "--run", str(run_id), "--dry-run", "--json")
    assert (json.loads(would.stdout)["redriven"], returned(connection, run_id)) == (2, [])
    did = asked("redrive", "--run", str(run_id), "--limit", "1", "--json")
    told = json.loads(did.stdout)
    assert (did.exit_code, told["matched"], told["redriven"], told["left"]) == (0, 2, 1, 1)
    rest = asked("redrive", "--run", str(run_id))
    assert (rest.exit_code, "re-driven 1; settled before 1" in rest.stdout) == (0, True)
    assert {one.value for one in returned(connection, run_id)} == {value, b'{"a": 1}'}
    assert "0 of 0" in asked("list", "--run", str(run_id)).stdout
    everything = json.loads(asked("list", "--run", str(run_id), "--all", "--limit", "1", "--json").stdout)
    assert (everything["shown"], everything["total"], everything["letters"][0]["state"]) == (1, 2, "redriven")


def test_what_cannot_be_redriven_is_told_fails_the_command_and_can_be_dropped(connection: KafkaConnection) -> None:
    run_id = uuid4()
    published(connection, [letter(run_id, b"row", offset=-1)])
    refused = asked("redrive", "--run", str(run_id))
    assert (refused.exit_code, "cannot 1" in refused.stdout, "in_no_topic" in refused.stdout) == (1, True, True)
    dropped = asked("drop", "--run", str(run_id), "--json")
    assert (dropped.exit_code, json.loads(dropped.stdout)["dropped"]) == (0, 1)
    assert json.loads(asked("list", "--run", str(run_id), "--state", "dropped", "--json").stdout)["total"] == 1
    assert asked("redrive", "--run", str(run_id)).exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["drop"], "--all"),
        (["list", "--source", "nope"], "coingecko"),
        (["redrive", "--error-class", "nope"], "nul_character"),
        (["redrive", "--offset", "3"], "--partition"),
        (["list", "--since", "yesterday"], "2h"),
        (["show", "3"], "PARTITION:OFFSET"),
        (["show", "-1:5"], ""),
    ],
)
def test_wrong_use_is_told_before_anything_is_asked_of_kafka(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ended = asked(*words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert says in ended.stderr


def test_a_place_without_a_letter_is_told(connection: KafkaConnection) -> None:
    for place in ("0:999999999", "99:0"):
        ended = asked("show", place)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert f"no letter at {place}" in ended.stderr


def test_a_broker_that_is_away_is_one_line_and_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    for words in (["list"], ["redrive"], ["drop", "--all"], ["show", "0:0"]):
        ended = asked(*words)
        assert (ended.exit_code, ended.stdout) == (3, "")
        assert ended.stderr.startswith("error: ")


@pytest.mark.parametrize("command", ["list", "show", "redrive", "drop"])
def test_each_command_shows_how_it_is_used(command: str) -> None:
    assert f"kasparro dead-letters {command}" in asked(command, "--help").stdout

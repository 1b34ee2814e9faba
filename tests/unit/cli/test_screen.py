"""What the command line prints reads well in a pipe as on a terminal."""

import io

import pytest
from rich.console import Console

from services.cli.log_lines import rendered
from services.cli.screen import Screen


@pytest.fixture
def paper() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def screen(paper: io.StringIO) -> Screen:
    return Screen(Console(file=paper, highlight=False, soft_wrap=True))


def test_a_pipe_gets_one_plain_line_a_step(screen: Screen, paper: io.StringIO) -> None:
    with screen.shown(), screen.step("Kafka") as step:
        step.tell("fetched 3 of 45 jars")
        step.done_as("127.0.0.1:9092 [green]not markup[/]")
    assert paper.getvalue() == "ok  Kafka: 127.0.0.1:9092 [green]not markup[/]  0.0 s\n"


def test_a_step_that_fails_is_not_called_done(screen: Screen, paper: io.StringIO) -> None:
    with pytest.raises(ValueError, match="no"), screen.step("Kafka"):
        raise ValueError("no")
    assert paper.getvalue() == ""


def test_the_banner_is_plain_in_a_pipe(screen: Screen, paper: io.StringIO) -> None:
    screen.banner("It serves", [("assets", "http://127.0.0.1:8000/data")], ["sandbox: true"])
    assert paper.getvalue() == "\nIt serves\nassets  http://127.0.0.1:8000/data\nsandbox: true\n\n"


def test_a_table_is_aligned_and_has_no_trailing_blanks(screen: Screen, paper: io.StringIO) -> None:
    screen.table(("topic", "lag"), [("ticks.raw.csv", "0")])
    assert paper.getvalue() == "topic          lag\nticks.raw.csv  0\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b'{"event": "chunk_stored", "level": "info"}', None),
        (b'{"event": "Group Coordinator Request failed", "level": "error", "logger": "aiokafka.client"}', None),
        (b'{"event": "kafka_lost", "level": "warning", "since": 3, "service": "x"}', "warning  kafka_lost since=3"),
        (b'{"event": "dependency_changed", "level": "warning", "dependency": "kafka", "up": true}', None),
        (
            b'{"event": "dependency_changed", "level": "warning", "dependency": "kafka", "up": false}',
            "warning  dependency_changed dependency=kafka up=False",
        ),
        (b"Traceback (most recent call last):", "Traceback (most recent call last):"),
        (b"17", "17"),
        (b"", None),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_of_a_log_only_what_wants_attention_is_shown(line: bytes, shown: str | None) -> None:
    assert rendered(line, everything=False) == shown


def test_verbose_shows_every_line() -> None:
    assert rendered(b'{"event": "chunk_stored", "level": "info"}', everything=True) == "info     chunk_stored"

import io
import json
import logging
import subprocess
import sys

from libs.telemetry.logging import Lines, OnceAMinute


def line(name: str, text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, values, None)


def test_a_client_that_repeats_itself_is_heard_once_and_everybody_else_always() -> None:
    once = OnceAMinute()
    assert once.filter(line("aiokafka.client", "Unable connect to node with id %s: %s", 1, "refused"))
    assert not once.filter(line("aiokafka.client", "Unable connect to node with id %s: %s", 1, "timed out"))
    assert once.filter(line("aiokafka.client", "something else"))
    assert all(once.filter(line("libs.producing.writing", "kafka_unreachable")) for _ in range(3))


SAYS = """
import logging, sys
import structlog
from libs.telemetry.logging import configure_logging

configure_logging("INFO", "query", style=sys.argv[1])
log = structlog.get_logger("services.query")
log.debug("not_said")
log.info("request_answered", path="/data/\\u20ac\\udcff", status=200)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("request_failed")
    for library in ("faust", "aiokafka", "aiohttp.server", "asyncpg", "yoyo", "libs.streaming.agents"):
        logging.getLogger(library).error("it says %s", "so", exc_info=True)
for library in ("aiokafka", "libs.streaming.agents"):
    logging.getLogger(library).info("about itself")
"""


def said(style: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SAYS, style], capture_output=True, text=True, check=True, timeout=20)
    assert not done.stdout
    return done.stderr.splitlines()


def test_our_own_lines_and_those_of_libraries_are_alike() -> None:
    answered, failed, *libraries = (json.loads(line) for line in said("json"))
    names = ("faust", "aiokafka", "aiohttp.server", "asyncpg", "yoyo", "libs.streaming.agents")
    for line, event, level, name in (
        (answered, "request_answered", "info", "services.query"),
        (failed, "request_failed", "error", "services.query"),
        *((line, "it says so", "error", name) for line, name in zip(libraries, names, strict=True)),
    ):
        assert line.pop("timestamp").endswith("Z")
        assert (line.pop("event"), line.pop("level"), line.pop("logger"), line.pop("service")) == (event, level, name, "query")
    assert answered == {"path": "/data/\u20ac\udcff", "status": 200}
    assert "ZeroDivisionError" in failed.pop("exception")
    assert not failed
    for library in libraries:
        assert "ZeroDivisionError" in library.pop("exception")
        assert not library


def test_a_person_reads_the_same() -> None:
    text = "\n".join(said("console"))
    assert all(
        word in text for word in ("request_answered", "services.query", "request_failed", "ZeroDivisionError", "it says so")
    )
    assert "not_said" not in text


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_work_goes_on_when_nobody_reads_the_log() -> None:
    Lines(Gone(), "services.query").info("{}")


UNRENDERABLE = """
import sys, structlog
from libs.telemetry.logging import configure_logging

class Odd:
    def __repr__(self):
        raise RuntimeError("not today")

configure_logging("INFO", "query", style="json")
log = structlog.get_logger("services.query")
log.info("offsets_seen", offsets={("topic", 1): 2})
log.warning("odd_seen", odd=Odd())
log.info("goes_on", count=1)
"""


def test_work_goes_on_when_a_value_cannot_be_written() -> None:
    done = subprocess.run([sys.executable, "-c", UNRENDERABLE], capture_output=True, text=True, check=True, timeout=20)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["level"], line.get("unrenderable")) for line in lines] == [
        ("offsets_seen", "info", "TypeError"),
        ("odd_seen", "warning", "RuntimeError"),
        ("goes_on", "info", None),
    ]


CRASHES = """
import sys, threading, warnings
import structlog
from libs.telemetry.logging import configure_logging

configure_logging("INFO", "normalizer", style=sys.argv[1])
warnings.warn("old")
thread = threading.Thread(target=lambda: structlog.get_logger("of.a.thread").info("thread_begun"))
thread.start()
thread.join()

def connect(password):
    raise RuntimeError("no such host")

connect("hunter" + "2")
"""


def crashed(style: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CRASHES, style], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_warnings_threads_and_the_last_words_of_a_process_are_lines_like_any_other() -> None:
    warned, begun, last = (json.loads(line) for line in crashed("json"))
    assert {line["service"] for line in (warned, begun, last)} == {"normalizer"}
    assert (warned["logger"], begun["event"], last["event"], last["level"]) == (
        "py.warnings",
        "thread_begun",
        "process_crashed",
        "critical",
    )
    assert "RuntimeError: no such host" in last["exception"]


def test_a_traceback_shows_no_values_on_a_terminal_either() -> None:
    text = "\n".join(crashed("console"))
    assert "process_crashed" in text
    assert "RuntimeError: no such host" in text
    assert "hunter2" not in text

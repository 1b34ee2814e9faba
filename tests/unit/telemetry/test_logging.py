import logging

from libs.telemetry.logging import OnceAMinute


def line(name: str, text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, values, None)


def test_a_client_that_repeats_itself_is_heard_once_and_everybody_else_always() -> None:
    once = OnceAMinute()
    assert once.filter(line("aiokafka.client", "Unable connect to node with id %s: %s", 1, "refused"))
    assert not once.filter(line("aiokafka.client", "Unable connect to node with id %s: %s", 1, "timed out"))
    assert once.filter(line("aiokafka.client", "something else"))
    assert all(once.filter(line("libs.producing.writing", "kafka_unreachable")) for _ in range(3))

"""Run a service that kills itself at a named point: `python -m tests.faults.doomed --die-at POINT --nth N services.normalizer`.

A function of ours is wrapped before the service's main is called; the service itself knows nothing of it. The process says
on its output where it dies, and then sends itself SIGKILL: nothing is closed, flushed or told.
"""

import argparse
import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

SENT_SECONDS: Final = 0.002
"""From giving a request to the socket to dying: long enough to be written, and mostly too short to be answered."""


class Point(NamedTuple):
    """A function, and when to die: before it, after it has returned, or while it waits for its answer."""

    module: str
    function: str
    when: Literal["before", "after", "during"]


NORMALIZER_POINTS: Mapping[str, Point] = {
    "before-database-commit": Point("libs.postgres.writing.chunks", "_apply", "after"),
    "between-database-commit-and-publish": Point("services.normalizer.ticks", "_write", "after"),
    "between-publish-and-acknowledgement": Point("services.normalizer.publishing", "AssetPublisher.publish", "after"),
    "before-offsets-commit": Point("libs.streaming.transport", "ChunkConsumer.acknowledge", "after"),
    "after-dead-letters": Point("services.normalizer.ticks", "_set_aside", "after"),
    "before-run-ends": Point("libs.kafka.transactions", "TransactionalClient.open", "after"),
    "before-run-ends-commit": Point("aiokafka", "AIOKafkaProducer.commit_transaction", "before"),
    "run-ends-sent-and-unanswered": Point("aiokafka.producer.sender", "EndTxnHandler.do", "during"),
}
PRODUCER_POINTS: Mapping[str, Point] = {
    "after-request-counted": Point("libs.producing.quota", "QuotaPermit.admit", "after"),
    "before-transaction-commit": Point("aiokafka", "AIOKafkaProducer.commit_transaction", "before"),
    "before-offset-is-sent": Point("libs.kafka.transactions", "Transaction.commit_offset", "before"),
    "commit-sent-and-unanswered": Point("aiokafka.producer.sender", "EndTxnHandler.do", "during"),
    "after-commit-answered": Point("aiokafka", "AIOKafkaProducer.commit_transaction", "after"),
}
QUERY_POINTS: Mapping[str, Point] = {
    "between-command-and-announcement": Point("libs.kafka.publishing", "Publisher.publish", "after"),
}
POINTS: Mapping[str, Point] = {**NORMALIZER_POINTS, **PRODUCER_POINTS, **QUERY_POINTS}
DIES = "doomed: dies at"


def doom(name: str, nth: int) -> None:
    """Wrap the point's function, so that its `nth` call is the last thing that this process does."""
    point = POINTS[name]
    owner, attribute = place_of(point.module, point.function)
    original = getattr(owner, attribute)
    calls = iter(range(1, nth + 1))

    def is_last() -> bool:
        return next(calls, 0) == nth

    def die() -> None:
        os.write(sys.stdout.fileno(), f"{DIES} {name}, call {nth}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    wrap = _wrapped if asyncio.iscoroutinefunction(original) else _wrapped_plainly
    setattr(owner, attribute, wrap(original, point.when, is_last, die))


def place_of(module: str, path: str) -> tuple[Any, str]:
    """Return what holds a name of a module, such as a class for its method, and the name there."""
    owner: Any = import_module(module)
    *within, attribute = path.split(".")
    for part in within:
        owner = getattr(owner, part)
    return owner, attribute


def _wrapped(
    original: Callable[..., Awaitable[Any]], when: str, is_last: Callable[[], bool], die: Callable[[], None]
) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        last = is_last()
        if last and when == "before":
            die()
        if last and when == "during":
            asyncio.ensure_future(original(*args, **kwargs))  # noqa: RUF006 - nobody will be there to collect it
            await asyncio.sleep(SENT_SECONDS)
            die()
        result = await original(*args, **kwargs)
        if last:
            die()
        return result

    return wrapped


def _wrapped_plainly(
    original: Callable[..., Any], when: str, is_last: Callable[[], bool], die: Callable[[], None]
) -> Callable[..., Any]:
    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        last = is_last()
        if last and when == "before":
            die()
        result = original(*args, **kwargs)
        if last:
            die()
        return result

    return wrapped


def main() -> None:
    """Doom, then be the service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--die-at", choices=POINTS, required=True)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("module")
    asked = parser.parse_args()
    doom(asked.die_at, asked.nth)
    sys.argv = [asked.module]
    runpy.run_module(asked.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""How a webhook's answers are read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from yarl import URL

from libs.alerting.slack import test_message as message_of_test
from libs.alerting.telling import LONGEST_RETRY_SECONDS, LONGEST_WAIT_SECONDS, MOST_UNANSWERED, wait_after
from libs.alerting.webhook import KEPT_CHARACTERS, SECONDS, Delivery, Outcome, delivery_of, open_webhook, without_url
from libs.kafka.groups import LEAVE_SECONDS
from libs.process.clock import SystemClock

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (302, Outcome.LATER),
        (400, Outcome.REFUSED),
        (403, Outcome.LATER),
        (404, Outcome.LATER),
        (410, Outcome.LATER),
        (413, Outcome.REFUSED),
        (429, Outcome.LATER),
        (500, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
def test_only_what_is_the_messages_fault_is_given_up(status: int, outcome: Outcome) -> None:
    assert delivery_of(status, None, NOON).outcome is outcome


def test_what_was_asked_for_is_waited_for() -> None:
    assert delivery_of(429, "30", NOON).wait_seconds == 30.0
    assert delivery_of(429, "Sun, 29 Nov 2026 12:01:00 GMT", NOON).wait_seconds == 60.0
    assert delivery_of(500, "soon", NOON).wait_seconds == 0.0


PATH = "/services/T0000/B0000/s3cr3t%2Fpart"
Answering = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


@asynccontextmanager
async def sent_to(answer: Answering) -> AsyncIterator[Delivery]:
    """Play a webhook, send it one message and say how that went."""
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server, open_webhook(SecretStr(f"{server.make_url('/')}{PATH[1:]}"), SystemClock()) as webhook:
        yield await webhook.send(message_of_test("here"))


@pytest.mark.parametrize("status", [400, 404])
async def test_an_error_page_that_repeats_the_url_does_not_tell_it(status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        page = f"nothing at {request.url}, I mean {request.path} or {request.raw_path.upper()}: S3CR3T%2fpart; {'x' * 500}"
        return web.Response(status=status, text=page)

    async with sent_to(answer) as delivery:
        assert delivery.why.startswith(f"it answered {status}: nothing at …, I mean … or …: …; xxx")
        assert len(delivery.why) == len(f"it answered {status}: ") + KEPT_CHARACTERS


async def test_a_page_too_large_to_be_read_whole_is_not_quoted() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404, text=request.path * 1_000)

    async with sent_to(answer) as delivery:
        assert delivery == Delivery(Outcome.LATER, "it answered 404")


@pytest.mark.parametrize("words", ["ok", "no_service", "invalid_token", ""])
def test_other_words_stay_as_they_are(words: str) -> None:
    assert without_url(words, URL("https://hooks.slack.com/services/T0000/B0000/s3cr3t")) == words


@pytest.mark.parametrize(("status", "outcome"), [(200, Outcome.DELIVERED), (400, Outcome.REFUSED)])
@pytest.mark.parametrize("breaks", [False, True], ids=["late", "broken"])
async def test_the_head_of_an_answer_counts_whatever_becomes_of_its_body(
    status: int, outcome: Outcome, *, breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a proxy that takes every message and answers badly would be told the same for ever."""
    monkeypatch.setattr("libs.alerting.webhook.SECONDS", 1.0)
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Length": "2"})
        await response.prepare(request)
        if breaks:
            assert request.transport is not None
            request.transport.abort()
        else:
            await over.wait()
        return response

    async with sent_to(answer) as delivery:
        over.set()
        assert delivery.outcome is outcome


async def test_a_message_without_an_answer_in_time_may_have_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.alerting.webhook.SECONDS", 0.5)
    over = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async with sent_to(answer) as delivery:
        over.set()
        assert delivery == Delivery(Outcome.LATER, "no answer within 0.5 s", may_have_arrived=True)


def test_a_message_that_may_have_arrived_is_repeated_a_few_times_and_then_once_an_hour() -> None:
    unanswered = Delivery(Outcome.LATER, may_have_arrived=True)
    few = range(1, MOST_UNANSWERED)
    assert all(wait_after(unanswered, failures=often, unanswered=often) < LONGEST_RETRY_SECONDS for often in few)
    assert wait_after(unanswered, failures=MOST_UNANSWERED, unanswered=MOST_UNANSWERED) == LONGEST_WAIT_SECONDS
    assert wait_after(Delivery(Outcome.LATER), failures=100, unanswered=0) <= LONGEST_RETRY_SECONDS


def test_who_stops_leading_has_the_time_to_learn_what_became_of_a_message() -> None:
    assert SECONDS < LEAVE_SECONDS

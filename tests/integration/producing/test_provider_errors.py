"""What a provider may answer instead, and the story that the run then tells. Waits move the clock; nobody sleeps."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Bench, MovedClock, Story, coins
from tests.integration.producing.provider_server import Respond, answer, in_turn

ERRORS = Path(__file__).parents[2] / "fixtures" / "provider_errors"
GOOD = answer(json.dumps(coins(range(3))))


@pytest.fixture
async def moved(bench: Bench) -> Bench:
    bench.clock = MovedClock()
    bench.start(CoinGecko(bench.provider("CoinGecko"), 100, bench.named(SOURCE)))
    return bench


async def run_with(bench: Bench, respond: Respond, *, lasts: timedelta = timedelta(minutes=30)) -> Story:
    bench.server.respond["/coins/markets?page=1"] = respond
    return await bench.story(await bench.command(lasts=lasts))


def waited(bench: Bench) -> list[float]:
    assert isinstance(bench.clock, MovedClock)
    return bench.clock.waited


@pytest.mark.parametrize("recorded", ["coingecko_429.json", "coingecko_429.html"])
async def test_retry_after_in_seconds_is_waited_for(moved: Bench, recorded: str) -> None:
    kind = "text/html" if recorded.endswith("html") else "application/json"
    refusal = answer((ERRORS / recorded).read_bytes(), status=429, content_type=kind, Retry_After="119")
    story = await run_with(moved, in_turn(refusal, GOOD))
    assert story.counts() == (3, 0, 3, 0)
    assert 118 <= sum(waited(moved)) <= 119 + 15
    assert await moved.requests_counted() == 2


async def test_retry_after_as_a_date_is_waited_for(moved: Bench) -> None:
    until = moved.clock.utc() + timedelta(seconds=77)
    refusal = answer("{}", status=429, Retry_After=format_datetime(until, usegmt=True))
    story = await run_with(moved, in_turn(refusal, GOOD))
    assert story.counts() == (3, 0, 3, 0)
    assert 74 <= sum(waited(moved)) <= 78 + 15


async def test_retry_after_past_the_commands_end_fails_the_shard_and_holds_the_next_run_too(moved: Bench) -> None:
    refusal = answer((ERRORS / "coingecko_429.html").read_bytes(), status=429, content_type="text/html", Retry_After="3600")
    story = await run_with(moved, refusal, lasts=timedelta(minutes=5))
    (error,) = story.errors
    assert "429 Too Many Requests" in error
    assert "Access denied" in error
    assert "may not be asked before" in error
    again = await moved.story(await moved.command())
    assert "may not be asked before" in again.errors[0]
    assert len(moved.server.requests) == 1
    assert sum(waited(moved)) < 60


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, '{"status":{"error_message":"API Key Missing"}}', "application/json", ["401", "API Key Missing", "TEST_KEY"]),
        (402, "coinpaprika_402.json", "application/json", ["402", "not allowed in this plan", "quota"]),
        (403, "<html><title>Access denied</title></html>", "text/html", ["403", "HTML page", "Access denied"]),
        (404, "coingecko_404.json", "application/json", ["404", "Could not find coin", "TEST_BASE_URL"]),
        (418, "", "text/plain", ["418"]),
    ],
)
async def test_a_refusal_is_told_once_and_not_tried_again(
    moved: Bench, status: int, body: str, kind: str, words: list[str]
) -> None:
    content = (ERRORS / body).read_bytes() if body.endswith(".json") else body.encode()
    story = await run_with(moved, answer(content, status=status, content_type=kind))
    (error,) = story.errors
    assert all(word in error for word in ["CoinGecko", *words]), error
    assert len(moved.server.requests) == await moved.requests_counted() == 1


async def test_a_redirect_is_not_followed_with_the_key(moved: Bench) -> None:
    story = await run_with(moved, answer("", status=302, Location="http://127.0.0.1:1/elsewhere"))
    assert "redirects are not followed" in story.errors[0]


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (answer("oops", status=500, content_type="text/plain"), "500"),
        (answer("<title>Bad gateway</title>", status=502, content_type="text/html"), "HTML"),
        (answer(json.dumps(coins(range(50)))[:-100]), "truncated"),
    ],
)
async def test_what_may_pass_is_tried_again_and_each_try_is_counted(moved: Bench, respond: Respond, words: str) -> None:
    story = await run_with(moved, respond)
    (error,) = story.errors
    assert words in error
    assert "4 tries" in error
    assert len(moved.server.requests) == await moved.requests_counted() == 4
    assert (await run_with(moved, in_turn(respond, respond, GOOD))).counts() == (3, 0, 3, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": "something else"}', "something else"),
        ("<html><title>Maintenance</title></html>", "HTML page"),
        ("[1, 2, 3]", "not of objects"),
        ("[]", "empty list"),
        ("", "empty"),
    ],
)
async def test_a_whole_answer_of_another_shape_fails_the_run_and_publishes_nothing(moved: Bench, body: str, words: str) -> None:
    story = await run_with(moved, answer(body))
    assert words in story.errors[0]
    assert await moved.ticks() == []
    assert (await run_with(moved, GOOD)).counts() == (3, 0, 3, 0)


async def test_an_answer_that_breaks_off_is_tried_again(moved: Bench) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b"[")
        assert request.transport is not None
        request.transport.abort()
        return response

    assert (await run_with(moved, in_turn(break_off, break_off, GOOD))).counts() == (3, 0, 3, 0)
    assert await moved.requests_counted() == 3


async def test_a_provider_that_is_away_is_said_to_be(moved: Bench) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        return web.Response()

    story = await run_with(moved, hang_up)
    assert "could not be reached" in story.errors[0]


async def test_a_provider_that_is_slow_is_not_waited_for_for_ever(bench: Bench) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    bench.clock = MovedClock()
    bench.server.respond["/coins/markets"] = never
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as impatient:
        bench.start(CoinGecko(replace(bench.provider("CoinGecko"), session=impatient), 100, bench.named(SOURCE)))
        (error,) = (await bench.run()).errors
    assert "did not answer within 0.2 s" in error
    assert await bench.requests_counted() == 4


async def test_one_page_of_two_that_fails_leaves_the_other_published(bench: Bench) -> None:
    bench.clock = MovedClock()
    bench.start(CoinGecko(bench.provider("CoinGecko"), 500, bench.named(SOURCE)))
    bench.server.respond["/coins/markets?page=1"] = answer(json.dumps(coins(range(250))))
    bench.server.respond["/coins/markets?page=2"] = answer("{}", status=404)
    story = await bench.run()
    assert story.counts() == (250, 0, 250, 0)
    assert len(story.errors) == 1


async def test_an_expired_command_is_skipped_and_an_expired_shard_fails_without_a_request(moved: Bench) -> None:
    story = await run_with(moved, GOOD, lasts=timedelta(seconds=-1))
    assert story.skipped
    assert story.skipped[0].startswith("expired")
    await moved.command(shard="1", lasts=timedelta(seconds=-1))
    assert (await run_with(moved, GOOD)).counts() == (3, 0, 3, 0)
    assert len(moved.server.requests) == 1

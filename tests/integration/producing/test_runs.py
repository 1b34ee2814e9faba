"""What a run publishes, and what it does not."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from libs.kafka.records import Record
from libs.producing.fetching import Answer, Permit
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Ahead, Bench, coins
from tests.integration.producing.provider_server import answer


def coingecko(bench: Bench, top_n: int) -> CoinGecko:
    return CoinGecko(bench.provider(), top_n, bench.named(SOURCE))


def serve_pages(bench: Bench, *pages: list[dict[str, object]]) -> None:
    for number, page in enumerate(pages, start=1):
        bench.server.respond[f"/coins/markets?page={number}"] = answer(json.dumps(page))


async def test_unchanged_answer_publishes_nothing(bench: Bench) -> None:
    serve_pages(bench, coins(range(100)))
    bench.start(coingecko(bench, 100))
    first, again = await bench.run(), await bench.run()
    assert first.counts() == (100, 0, 100, 0)
    assert again.counts() == (100, 100, 0, 0)
    assert len(await bench.ticks()) == 100


async def test_only_changed_rows_are_published(bench: Bench) -> None:
    serve_pages(bench, coins(range(100)))
    bench.start(coingecko(bench, 100))
    await bench.run()
    serve_pages(bench, [*coins(range(3), price=2), *coins(range(3, 100))])
    assert (await bench.run()).counts() == (100, 97, 3, 0)
    changed = [tick.source_id for tick in await bench.ticks() if tick.payload["current_price"] == 2]
    assert sorted(changed) == ["coin-0", "coin-1", "coin-2"]


async def test_rows_that_move_between_pages_are_not_published_again(bench: Bench) -> None:
    serve_pages(bench, coins(range(250)), coins(range(250, 400)))
    bench.start(coingecko(bench, 400))
    await bench.run()
    serve_pages(bench, [*coins(range(1, 251))], [*coins([0]), *coins(range(251, 400))])
    assert (await bench.run()).counts() == (400, 400, 0, 0)
    assert len(await bench.ticks()) == 400


async def test_a_row_on_two_pages_of_one_run_is_published_once(bench: Bench) -> None:
    serve_pages(bench, coins(range(250)), coins(range(200, 450)))
    bench.start(coingecko(bench, 500))
    story = await bench.run()
    assert story.counts() == (500, 50, 450, 0)
    assert len({tick.tick_id for tick in await bench.ticks()}) == len(await bench.ticks()) == 450


async def test_the_last_page_is_cut_to_what_was_asked_for(bench: Bench) -> None:
    serve_pages(bench, coins(range(250)), coins(range(250, 500)))
    bench.start(coingecko(bench, 260))
    assert (await bench.run()).counts() == (260, 0, 260, 0)
    assert {tuple(request.query.items()) for request in bench.server.requests} == {
        (
            ("vs_currency", "usd"),
            ("order", "market_cap_desc"),
            ("per_page", "250"),
            ("page", page),
            ("sparkline", "false"),
            ("price_change_percentage", "1h,24h,7d"),
        )
        for page in ("1", "2")
    }


async def test_a_bad_row_is_set_aside_once_and_its_neighbours_live(bench: Bench) -> None:
    bad = {"id": "nameless", "symbol": " ", "current_price": 1}
    serve_pages(bench, [*coins([1]), bad, *coins([2])])
    bench.start(coingecko(bench, 100))
    assert (await bench.run()).counts() == (3, 0, 2, 1)
    assert (await bench.run()).counts() == (3, 3, 0, 0)
    (letter,) = await bench.dead_letters()
    headers = dict(letter.headers)
    assert letter.value == json.dumps(bad).encode()
    assert headers["__connect.errors.class.name"] == b"missing_symbol"
    assert headers["__connect.errors.topic"] == bench.topics.raw.name.encode()


async def test_the_event_tells_where_the_last_tick_of_each_partition_is(bench: Bench) -> None:
    serve_pages(bench, coins(range(100)))
    bench.start(coingecko(bench, 100))
    (event,) = (await bench.run()).published
    last: dict[int, int] = {}
    for record in await bench.raw():
        last[record.partition] = max(record.offset, last.get(record.partition, -1))
    assert event.last_offsets == last


async def test_ticks_are_keyed_by_asset_uid_and_keep_every_digit(bench: Bench) -> None:
    serve_pages(bench)
    row = b'{"id":"tiny","symbol":"$TINY","current_price":3.84e-18,"max_supply":9223372036854775807}'
    bench.server.respond["/coins/markets"] = answer(b"[" + row + b"]")
    bench.start(coingecko(bench, 1))
    await bench.run()
    (record,) = await bench.raw()
    assert record.key == b"$tiny"
    assert record.value is not None
    assert row in record.value


async def test_a_command_that_is_none_is_set_aside_and_the_next_is_carried_out(bench: Bench) -> None:
    serve_pages(bench, coins(range(5)))
    await bench.publisher.publish([Record(bench.topics.commands.name, b"*", b"{not json")])
    bench.start(coingecko(bench, 100))
    assert (await bench.run()).counts() == (5, 0, 5, 0)
    (letter,) = await bench.dead_letters()
    assert (letter.key, letter.value) == (b"*", b"{not json")


async def test_a_command_for_a_shard_with_too_long_a_name_is_set_aside(bench: Bench) -> None:
    serve_pages(bench, coins(range(5)))
    run_id, now = str(uuid4()), bench.clock.utc()
    command = {"run_id": run_id, "source": bench.source, "shard": "9" * 1_000_000, "trigger": "manual"}
    times = {"requested_at": now.isoformat(), "expires_at": (now + timedelta(minutes=5)).isoformat()}
    await bench.publisher.publish([Record(bench.topics.commands.name, b"9", json.dumps(command | times).encode())])
    bench.start(coingecko(bench, 100))
    assert (await bench.run()).counts() == (5, 0, 5, 0)
    (letter,) = await bench.dead_letters()
    assert b"at most 512 characters" in dict(letter.headers)["__connect.errors.exception.message"]
    assert run_id not in {str(event.run_id) for event in await bench.stories()}


async def test_a_bug_in_a_fetcher_ends_the_process_instead_of_being_waited_out(bench: Bench) -> None:
    class Broken(CoinGecko):
        async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 it does not get that far
            raise ZeroDivisionError

    broken = bench.replica(Broken(bench.provider(), 100, bench.named(SOURCE)))
    await bench.command()
    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(broken.run(), 30)
    assert ended.group_contains(ZeroDivisionError)


async def test_before_the_topic_forgets_a_row_that_never_changes_it_is_published_again(bench: Bench) -> None:
    kept = timedelta(hours=10)  # of the raw topic, as the producer is told; a clock that is days off is not believed
    bench = replace(bench, topics=replace(bench.topics, raw=replace(bench.topics.raw, kept=kept)))
    published = 0
    bad: dict[str, object] = {"id": "nameless", "symbol": " "}
    for age, again in ((timedelta(0), 400), (kept / 4, 0), (kept / 2, 400), (kept * 3 / 4, 0), (kept, 400)):
        later = replace(bench, clock=Ahead(age))
        serve_pages(later, coins(range(250)), [*coins(range(250, 400)), bad])
        replica = later.start(coingecko(later, 500))
        assert (await later.run()).counts()[:3] == (401, 401 - again - (not published), again), f"after {age}"
        replica.cancel()
        await asyncio.wait([replica])
        published += again
    assert len(await bench.ticks()) == published
    assert len(await bench.dead_letters()) == 1

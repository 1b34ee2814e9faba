"""What a replica makes of etl.cursors, whoever wrote there."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from libs.contracts.cursors import PollCursor, cursor_key
from libs.kafka.records import Record
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Bench, coins
from tests.integration.producing.provider_server import answer

WRONG = {
    "no JSON": b"{",
    "no cursor": b'{"kind": "poll"}',
    "no base64": {"tick_ids": "x"},
    "base64 beyond ASCII": {"carried": "\u00e9"},
    "another shard": {"shard": "2"},
    "another source": {"source": "other"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_a_cursor_that_nobody_understands_makes_its_shard_unknown_and_harms_nobody(
    bench: Bench, wrong: bytes | dict[str, str]
) -> None:
    bench.server.respond["/coins/markets?page=1"] = answer(json.dumps(coins(range(3))))
    cursor = PollCursor(source=bench.source, shard="1", run_id=uuid4(), polled_at=datetime.now(UTC), tick_ids="")
    value = wrong if isinstance(wrong, bytes) else cursor.model_copy(update=wrong).model_dump_json().encode()
    await bench.publisher.publish([Record(bench.topics.cursors.name, cursor_key(cursor).encode(), value)])
    replica = bench.start(CoinGecko(bench.provider(), 100, bench.named(SOURCE)))
    assert (await bench.run()).counts() == (3, 0, 3, 0)
    assert (await bench.run()).counts() == (3, 3, 0, 0)
    await bench.publisher.publish([Record(bench.topics.cursors.name, cursor_key(cursor).encode(), value)])
    assert (await bench.run()).counts() == (3, 0, 3, 0)
    assert not replica.done()

"""The ticks that every contender gets: CoinGecko's rows of about 350 bytes, the same each time but for the day they are from."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.contracts.raw_tick import RawTickFrame, encode_raw_tick
from libs.contracts.topics import SOURCE_TOPICS
from libs.domain.identity import tick_id_of
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record

TOPIC = SOURCE_TOPICS["coingecko"].raw.name
BATCH = 20_000


class Workload(NamedTuple):
    """How many ticks, of how many listings: each has a new price in each round, so every tick is stored and moves its quote."""

    ticks: int
    listings: int

    @property
    def symbols(self) -> int:
        """How many symbols the listings have: a tenth of them collide."""
        return self.listings * 9 // 10


def make(work: Workload) -> Iterator[RawTickFrame]:
    """Make the ticks, listing after listing, round after round; a tenth of the symbols collide."""
    chance = random.Random(1)  # noqa: S311 - the same ticks each time
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    for number in range(work.ticks):
        listing = number % work.listings
        at = start + timedelta(seconds=number // work.listings)
        symbol = f"sym{listing % work.symbols}"
        payload = (
            f'{{"id":"coin-number-{listing}","symbol":"{symbol}","name":"Coin Number {listing}",'
            f'"current_price":{chance.random() * 1000:.8f},"market_cap":{chance.randrange(10**6, 10**12)},'
            f'"market_cap_rank":{listing + 1},"total_volume":{chance.randrange(10**4, 10**10)},'
            f'"price_change_percentage_24h":{chance.uniform(-9, 9):.5f},"circulating_supply":{chance.random() * 10**9:.4f},'
            f'"total_supply":1000000000.0,"max_supply":null,"last_updated":"{at.isoformat()}"}}'
        ).encode()
        yield RawTickFrame(
            tick_id=tick_id_of("coingecko", f"coin-number-{listing}", payload),
            source="coingecko",
            source_id=f"coin-number-{listing}",
            asset_uid=symbol,
            run_id=UUID(int=number // work.listings),
            fetched_at=at,
            source_updated_at=at,
            payload=msgspec.Raw(payload),
        )


async def publish(connection: KafkaConnection, work: Workload, *, beginning: int = 0) -> dict[str, UUID]:
    """Fill the raw topic, from the tick of this number; return what each listing must show in the end.

    That is source_id -> tick_id of its newest tick, for the listings of which one was published.
    """
    newest: dict[str, UUID] = {}
    async with open_publisher(connection, timeout_seconds=60) as publisher:
        batch: list[Record] = []
        for frame in islice(make(work), beginning, None):
            newest[frame.source_id] = frame.tick_id
            batch.append(Record(TOPIC, frame.asset_uid.encode(), encode_raw_tick(frame)))
            if len(batch) == BATCH:
                await publisher.publish(batch)
                batch.clear()
        await publisher.publish(batch)
    return newest

"""An operator's redrive that is killed at a named point, several times over: each letter returns once, none is forgotten."""

import asyncio
import json
import random
import signal
import sys
from collections import Counter

import pytest

from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.recovery.letters import Places, State
from services.normalizer.wiring import Topics
from tests.integration.recovery.desks import letter, places_of, published, redriven, states

LETTERS = 60
AT_ONCE = 7


async def killed(connection: KafkaConnection, places: Places, *, nth: int, before: bool) -> int:
    """Let a process redrive until it kills itself; return its exit code."""
    told = {
        "bootstrap_servers": connection.bootstrap_servers,
        "places": {
            "dead_letters": places.dead_letters,
            "settlements": places.settlements,
            "takes_back": sorted(places.takes_back),
            "commands": sorted(places.commands),
            "group": places.group,
            "transactional_id": places.transactional_id,
        },
        "nth": nth,
        "before": before,
        "at_once": AT_ONCE,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.recovery.redriver", json.dumps(told), stdout=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        return await process.wait()


@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_before_or_after_its_commits_it_redrives_each_letter_once(
    connection: KafkaConnection, publisher: Publisher, topics: Topics, seed: int
) -> None:
    places, dice = places_of(topics), random.Random(seed)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(LETTERS)])
    for before in dice.sample([True, True, False, False], 4):
        nth = dice.randint(1, 3)
        assert await killed(connection, places, nth=nth, before=before) == -signal.SIGKILL
        number = dice.randrange(LETTERS)  # a replay meanwhile sets one aside again
        await publisher.publish([letter(topics, number, key=b"%d" % number)])
    rest = await redriven(connection, places)
    assert 0 < rest.done < LETTERS
    found = Counter(one.key for one in await published(connection, topics))
    assert found == {b"%d" % number: 1 for number in range(LETTERS)}
    assert State.WAITING not in (await states(connection, places)).values()

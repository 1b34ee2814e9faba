"""An operator's redrive as a process that kills itself: told as JSON in its only argument, in which transaction and where."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.kafka.connection import KafkaConnection
from libs.kafka.transactions import Transaction, TransactionalClient
from libs.process.clock import SystemClock
from libs.recovery import redriving
from libs.recovery.letters import Places, Selection
from libs.recovery.settling import open_desk


class DoomedClient(TransactionalClient):
    """Dies in its nth transaction: before the commit (everything is sent) or after it (the broker has answered)."""

    nth = 0
    before = True
    begun = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        async with super().transaction() as transaction:
            yield transaction
            if self.begun == self.nth and self.before:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.begun == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)


async def run(told: dict[str, object]) -> None:
    connection = KafkaConnection(str(told["bootstrap_servers"]), "redriver")
    named = dict(told["places"])  # type: ignore[call-overload] # JSON
    places = Places(**named | {"takes_back": frozenset(named["takes_back"]), "commands": frozenset(named["commands"])})
    client = DoomedClient(connection, places.transactional_id)
    client.nth, client.before = int(str(told["nth"])), bool(told["before"])
    redriving.LETTERS_AT_ONCE = int(str(told["at_once"]))
    async with open_desk(connection, places, SystemClock(), client=client) as desk:
        tally = await redriving.redrive(desk, Selection())
    print(json.dumps({"done": tally.done}))


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))

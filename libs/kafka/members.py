"""Who is in a consumer group now."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

LOOK_AGAIN_SECONDS: Final = 0.1
NOBODY: Final = frozenset({"Empty", "Dead"})
"""States of a group without members; one that never was, or is forgotten, is told as dead."""
COORDINATOR_COMING: Final = (
    errors.GroupCoordinatorNotAvailableError,
    errors.GroupLoadInProgressError,
    errors.NotCoordinatorForGroupError,
)
"""A broker makes the place where groups keep offsets when it is first asked for one, and says so meanwhile."""


@dataclass(frozen=True, slots=True)
class Member:
    """A process in the group. `host` is its address as the broker sees it."""

    member_id: str
    client_id: str
    host: str


async def describe(admin: AIOKafkaAdminClient, group: str) -> tuple[str, Sequence[Member]]:
    """Return the group's state and its members, waiting for a coordinator: bound it in time. Raises aiokafka's errors."""
    while True:
        try:
            answers = await admin.describe_consumer_groups([group])
            code, _, state, _, _, members, *_ = answers[0].groups[0]
            if code:
                raise errors.for_code(code)(group)
        except errors.GroupIdNotFound:
            return "Dead", ()
        except COORDINATOR_COMING:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        else:
            return state, [Member(member_id, client_id, host) for member_id, client_id, host, *_ in members]

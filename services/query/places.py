"""How many clients there may be: as many as settings say, or as the system has descriptors for."""

import resource
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)

OTHER_DESCRIPTORS = 300
"""What Postgres, Kafka, the log and connections that are about to close need beside."""


class Places(NamedTuple):
    """How many clients there may be of each kind."""

    connections: int
    streams: int


def places_for(connections: int, streams: int) -> Places:
    """Return how many there are descriptors for, after asking the system for as many as that; with too few, both have fewer."""
    wanted = connections + streams + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Places(connections, streams)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return Places(connections, streams)
    room = max(2, soft - OTHER_DESCRIPTORS)
    fewer = max(1, room * connections // (connections + streams))
    log.warning("few_descriptors", connections=fewer, streams=room - fewer, wanted=connections + streams, limit=soft)
    return Places(fewer, room - fewer)

"""Messages of the topics other than the raw ones, each field of each spoilt; some of them can still be read, and lie."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.contracts.dead_letters import Origin, dead_letter_headers
from libs.contracts.topics import DEAD_LETTERS, GAPS, RUN_EVENTS, SETTLEMENTS, SOURCE_TOPICS
from libs.domain.rejections import Reason, Rejection
from tests.faults.spoilt import AT, UGLY_TEXTS, Spoilt, object_of, run_of, texts

COUNTS = {"fetched": 3, "unchanged": 1, "published": 2, "dead_lettered": 0}
TOTALS = COUNTS | {"stored": 2, "duplicate": 0}
EVENTS: Sequence[Mapping[str, Any]] = (
    {"event": "requested", "trigger": "manual"},
    {"event": "started", "trigger": "schedule", "shards": ["1"]},
    {"event": "shard_published", "shard": "1", "counts": COUNTS, "last_offsets": {"0": 1}},
    {"event": "shard_failed", "shard": "1", "error": "spoilt"},
    {"event": "skipped", "trigger": "manual", "reason": "spoilt"},
    {"event": "succeeded", "totals": TOTALS},
    {"event": "failed", "error": "spoilt", "totals": TOTALS},
)
RUNS = [run_of(-number) for number in range(1, len(EVENTS) + 1 + 2 * len(SOURCE_TOPICS))]
"""Runs that the messages tell of: made up, and told of in ways that no run has."""
OWN_ID, OWN_NUMBER = UUID(int=0), 424242
"""Stand for what differs from message to message: the tables keep one gap of an id, one settlement of a partition."""
GAP = {"gap_id": str(OWN_ID), "source": "coingecko", "found_at": AT}
GAP_MESSAGES: Sequence[Mapping[str, Any]] = (
    GAP | {"kind": "runs_missed", "first_due": AT, "last_due": AT, "runs": 1, "interval_seconds": 60.0},
    GAP | {"kind": "offsets_lost", "group": "g", "topic": "t", "partition": 0, "from_offset": 1, "to_offset": 2},
)
SETTLEMENT = {"partition": OWN_NUMBER, "settled_at": AT, "redriven": [[0, 1]], "dropped": [[2, 3]]}
UGLY_BYTES = (b"", b"\0", b"-1", b"0", b"1" * 19, b"1" * 5_000, b"1e3", b"\xff\xfe", "🚀".encode() * 300, b"x" * 20_000)


def by_topic() -> Mapping[str, Sequence[Spoilt]]:
    """Topic -> messages for it, each with one thing spoilt."""
    runs = iter(RUNS)
    events: list[dict[str, Any]] = [{"run_id": str(next(runs)), "source": "coingecko", "at": AT, **told} for told in EVENTS]
    found: dict[str, Sequence[Spoilt]] = {
        RUN_EVENTS.name: _each_spoilt(events),
        GAPS.name: _each_spoilt(GAP_MESSAGES),
        SETTLEMENTS.name: _each_spoilt([SETTLEMENT]),
        DEAD_LETTERS.name: list(_letters()),
    }
    for source in ("coingecko", "coinpaprika"):
        told = {"source": source, "trigger": "manual", "requested_at": AT, "expires_at": "2900-01-01T00:00:00Z"}
        shards = ("*", "all" if source == "coinpaprika" else "1")
        commands = [told | {"run_id": str(next(runs)), "shard": shard} for shard in shards]
        found[SOURCE_TOPICS[source].commands.name] = _each_spoilt(commands)
    return found


def _each_spoilt(messages: Sequence[Mapping[str, Any]]) -> list[Spoilt]:
    spoilt = [text for message in messages for text in spoilt_everywhere(message)]
    return [Spoilt(b"spoilt", _as_own(text, number)) for number, text in enumerate(spoilt)]


def _as_own(text: bytes, number: int) -> bytes:
    return text.replace(str(OWN_ID).encode(), str(UUID(int=number + 1)).encode()).replace(b"%d" % OWN_NUMBER, b"%d" % number)


def spoilt_everywhere(value: object) -> Iterator[bytes]:
    """The value's JSON with each part of it, and the whole, replaced by something ugly; each of its fields left out."""
    yield from UGLY_TEXTS
    if isinstance(value, dict):
        for name, inner in value.items():
            yield object_of(texts({other: held for other, held in value.items() if other != name}))
            for text in spoilt_everywhere(inner):
                yield object_of(texts(value) | {name: text})
    elif isinstance(value, list):
        yield b"[" + b",".join([json.dumps(value[0]).encode()] * 3) + b"]"
        for text in spoilt_everywhere(value[0]):
            yield b"[" + text + b"]"


def _letters() -> Iterator[Spoilt]:
    """Dead letters whose headers do not say what they should."""
    origin = Origin(SOURCE_TOPICS["coingecko"].raw.name, 0, 0)
    rejection = Rejection(Reason.WRONG_SHAPE, "spoilt")
    good = dead_letter_headers(rejection, origin, stage="normalizer", source="coingecko", run_id=run_of(0))
    for place, (name, _) in enumerate(good):
        yield Spoilt(b"spoilt", b"{}", (*good[:place], *good[place + 1 :]))
        for value in UGLY_BYTES:
            yield Spoilt(b"spoilt", b"{}", (*good[:place], (name, value), *good[place + 1 :]))

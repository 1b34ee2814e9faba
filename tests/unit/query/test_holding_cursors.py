"""The board of cursors stands whatever is in the topic."""

import json
from pathlib import Path

from libs.kafka.connection import KafkaConnection
from libs.kafka.tailing import Start, Tail, TopicRecord
from services.query.holding_cursors import CursorBoard

EXAMPLE = json.loads(Path("docs/contracts/examples/Cursor.v1/poll.json").read_text())


def record(offset: int, value: bytes | None) -> TopicRecord:
    return TopicRecord("etl.cursors", 0, offset, b"coinpaprika/all", value, (), 0)


def test_a_cursor_that_nobody_can_read_leaves_the_one_before_it() -> None:
    board = CursorBoard(Tail(KafkaConnection("nowhere:1", "test"), "etl.cursors", Start.BEGINNING))
    board._take(record(0, json.dumps(EXAMPLE).encode()))
    for offset, spoilt in enumerate((b"no JSON", json.dumps(EXAMPLE | {"tick_ids": "A"}).encode()), start=1):
        board._take(record(offset, spoilt))
    assert [(held.shard, held.ticks) for held in board.of("coinpaprika")] == [("all", 2)]
    board._take(record(3, None))
    assert board.of("coinpaprika") == []

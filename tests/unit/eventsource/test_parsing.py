"""Server-sent events come out the same however their bytes come in, and as the HTML standard has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.eventsource.parsing import LARGEST_EVENT, EventParser, EventTooLargeError, ServerSentEvent

PIECES = (
    "data",
    "event",
    "id",
    "retry",
    "other",
    ":",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "5",
    "\0",
    "é",
    "😀",
    "\u2028",
    "\x0b",
    "\ufeff",
)
STREAMS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join).map(str.encode)
ANY_BYTES = st.binary(max_size=60)


def parsed(pieces: list[bytes], position: str = "") -> tuple[list[ServerSentEvent], str, int | None]:
    parser = EventParser(position)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events, parser.position, parser.retry_ms


def events_of(text: str) -> list[tuple[str, str, str]]:
    return [tuple(event) for event in parsed([text.encode()])[0]]  # type: ignore[misc] # three fields


@given(STREAMS | ANY_BYTES, st.data())
def test_any_division_into_pieces_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parsed(pieces) == parsed([stream])
    assert parsed([stream[place : place + 1] for place in range(len(stream))]) == parsed([stream])


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
def test_what_was_written_is_read_with_any_line_end(lines: list[str], end: str) -> None:
    written = "".join(f"data: {line}{end}" for line in lines) + end
    assert events_of(written) == [("message", "\n".join(lines), "")]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The three examples of the standard.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
        (": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         [("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")]),
        ("data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
        ("data:test\n\ndata: test\n\n", [("message", "test", ""), ("message", "test", "")]),
        # What it says in words.
        ("event: asset\nid: 7\ndata: {}\n\nevent: lost\n\ndata: x\n\n", [("asset", "{}", "7"), ("message", "x", "7")]),
        ("id: a\0b\ndata: x\n\n", [("message", "x", "")]),
        ("data : x\nDATA: y\ndata: z\n\n", [("message", "z", "")]),
        ("data: a:b\n\n", [("message", "a:b", "")]),
        ("\ufeffdata: x\n\n\ufeffdata: y\n\n", [("message", "x", "")]),
        ("data: no end", []),
        ("data: a\u2028b\x0bc\n\n", [("message", "a\u2028b\x0bc", "")]),
    ],
)  # fmt: skip
def test_the_standard(stream: str, events: list[tuple[str, str, str]]) -> None:
    assert events_of(stream) == events


def test_what_is_no_utf_8_is_replaced_and_reads_on() -> None:
    assert parsed([b"data: \xff\xf0\x9f\n\ndata: y\n\n"])[0] == [
        ServerSentEvent("message", "\ufffd\ufffd", ""),
        ServerSentEvent("message", "y", ""),
    ]


def test_the_position_moves_at_the_end_of_a_block_and_is_handed_on() -> None:
    assert parsed([b"id: 5\ndata: x"])[1] == ""
    assert parsed([b"id: 5\n\n"])[1] == "5"
    assert parsed([b"data: x\n\n"], position="3") == ([ServerSentEvent("message", "x", "3")], "3", None)


def test_the_time_to_wait_is_read_where_it_is_a_number() -> None:
    assert parsed([b"retry: 3000\n\n"])[2] == 3000
    assert parsed([b"retry: 3s\nretry: -1\nretry:\n\n"])[2] is None


@pytest.mark.parametrize("endless", [b"x" * 100_000, b"data: " + b"x" * 100_000 + b"\n"])
def test_what_never_ends_is_not_kept_for_ever(endless: bytes) -> None:
    with pytest.raises(EventTooLargeError):
        parsed([endless] * (LARGEST_EVENT // 100_000 + 1))

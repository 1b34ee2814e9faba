"""What is remembered of rows: the right content or none, in bounded memory, the lately asked for longest."""

from hypothesis import given
from hypothesis import strategies as st

from libs.producing.row_contents import ROW_OVERHEAD, RowContents


def content(payload: bytes) -> bytes:
    return payload.rjust(24, b"-")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=200))
def test_a_row_is_told_its_own_content_or_none_and_few_are_held(steps: list[tuple[bool, int]]) -> None:
    room = 5 * (ROW_OVERHEAD + 2)
    contents = RowContents(room)
    put: set[bytes] = set()
    for is_put, number in steps:
        payload = b"%02d" % number
        if is_put:
            contents.put(payload, content(payload))
            put.add(payload)
        else:
            (at_once,) = contents.at_once([payload])
            told = contents.of(payload)
            assert told in ({content(payload), None} if payload in put else {None})
            assert at_once in {told, None}
    held = [payload for payload in put if contents.of(payload) is not None]
    assert len(held) <= 2 * (5 + 1)


def test_what_is_asked_for_again_and_again_outlives_what_is_not() -> None:
    contents = RowContents(10 * (ROW_OVERHEAD + 6))
    contents.put(b"asked for", content(b"asked for"))
    contents.put(b"forgot", content(b"forgot"))
    for number in range(1_000):
        contents.put(b"%06d" % number, content(b"%06d" % number))
        assert contents.of(b"asked for") == content(b"asked for")
    assert contents.of(b"forgot") is None

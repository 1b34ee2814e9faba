"""What we write in a dead letter's headers is what we read; what others write does no harm."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.dead_letters import (
    ERROR_CLASSES,
    LONGEST_DETAIL,
    LONGEST_NAME,
    Origin,
    Told,
    dead_letter_headers,
    identity_of,
    original_headers,
    read_headers,
)
from libs.domain.rejections import Reason, Rejection

RUN = UUID(int=7)
PLACE = Origin("ticks.raw.csv", 3, 41)
OURS = [name for name, _ in dead_letter_headers(Rejection(Reason.UNDECODABLE, ""), PLACE, stage="", source="", run_id=None)]


def headers(*, origin: Origin = PLACE, attempt: int = 1) -> list[tuple[str, bytes]]:
    rejection = Rejection(Reason.NUL_CHARACTER, "name: 'a\0b'")
    original = [("kasparro.source.position", b"f.csv:12"), ("twice", b"1"), ("twice", b"\xff")]
    return dead_letter_headers(
        rejection, origin, stage="normalizer", source="csv", run_id=RUN, attempt=attempt, original=original
    )


def told(origin: Origin, attempt: int = 1) -> Told:
    return read_headers(headers(origin=origin, attempt=attempt))


def test_what_was_written_is_read() -> None:
    assert read_headers(headers(attempt=3)) == Told("csv", "nul_character", "normalizer", RUN, 3, PLACE, "name: 'a\ufffdb'")


@given(st.lists(st.tuples(st.sampled_from(OURS) | st.text(max_size=5), st.none() | st.binary(max_size=40))))
def test_any_headers_are_read_as_something_that_postgres_takes(written: list[tuple[str, bytes | None]]) -> None:
    read = read_headers(written)
    assert read.error_class in ERROR_CLASSES
    assert 1 <= read.attempt < 2**31
    if read.origin is not None:
        assert -1 <= read.origin.partition < 2**31
        assert -1 <= read.origin.offset < 2**63
        assert 1 <= len(read.origin.topic) <= LONGEST_NAME
    texts = [read.source or "", read.stage or "", read.detail, read.origin.topic if read.origin else ""]
    assert not any("\0" in text for text in texts)
    assert all(text.encode() is not None for text in texts)


def test_long_headers_are_cut() -> None:
    read = read_headers([("__connect.errors.exception.message", "é".encode() * 90_000), ("__connect.errors.topic", b"t" * 9_000)])
    assert len(read.detail) == LONGEST_DETAIL


def test_a_redriven_record_has_its_own_headers_again_and_one_count() -> None:
    again = original_headers(headers(attempt=4), attempt=5)
    assert again == [("kasparro.source.position", b"f.csv:12"), ("twice", b"1"), ("twice", b"\xff"), ("kasparro.attempt", b"5")]
    assert read_headers(again).attempt == 5


def test_only_the_same_record_at_the_same_attempt_has_the_same_identity() -> None:
    first = identity_of(told(PLACE), b"key", b"value")
    assert first is not None
    assert identity_of(told(Origin(*("ticks.raw.csv", 3, 41))), b"key", b"value") == first
    others = [
        identity_of(told(PLACE, attempt=2), b"key", b"value"),
        identity_of(told(Origin("ticks.raw.csv", 3, 42)), b"key", b"value"),
        identity_of(told(Origin("ticks.raw.csv", 4, 41)), b"key", b"value"),
        identity_of(told(Origin("ticks.raw.cs", 3, 41)), b"key", b"value"),
        identity_of(told(PLACE), b"keyv", b"alue"),
        identity_of(told(PLACE), None, b"value"),
        identity_of(told(PLACE), b"key", None),
        identity_of(told(PLACE), b"key", b""),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_what_was_in_no_topic_has_no_identity() -> None:
    assert identity_of(told(Origin("ticks.raw.csv", -1, -1)), None, b"row") is None
    assert identity_of(read_headers([]), None, b"row") is None

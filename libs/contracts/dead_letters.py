"""The headers of a dead letter: Kafka Connect's names, plus where in our pipeline it was set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.domain.rejections import Rejection

Headers = Sequence[tuple[str, bytes]]

LINE_HEADER = "kasparro.source.position"
"""On a raw tick from a file: `name:line`, carried on to the dead letter."""


LONGEST_DETAIL = 2_000
"""Characters: the words may quote the record, and a header must not make a dead letter too large for its topic."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record came from; partition and offset are -1 when it never reached a topic."""

    topic: str
    partition: int
    offset: int


def dead_letter_headers(
    rejection: Rejection,
    origin: Origin,
    *,
    stage: str,
    source: str,
    run_id: UUID | None,
    attempt: int = 1,
    original: Headers = (),
) -> list[tuple[str, bytes]]:
    """Return the original headers followed by what went wrong and where; earlier error headers are replaced."""
    ours = {
        "__connect.errors.topic": origin.topic,
        "__connect.errors.partition": str(origin.partition),
        "__connect.errors.offset": str(origin.offset),
        "__connect.errors.connector.name": source,
        "__connect.errors.stage": stage,
        "__connect.errors.class.name": rejection.reason.value,
        "__connect.errors.exception.class.name": rejection.reason.value,
        "__connect.errors.exception.message": rejection.detail[:LONGEST_DETAIL],
        "kasparro.run_id": str(run_id) if run_id else "",
        "kasparro.attempt": str(attempt),
    }
    kept = [(name, value) for name, value in original if name not in ours]
    return kept + [(name, text.encode("utf-8", "replace")) for name, text in ours.items()]

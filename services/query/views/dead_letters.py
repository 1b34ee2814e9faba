"""Counts of dead letters as the API shows them."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import AwareDatetime, Field

from libs.postgres.reading.rows import Row
from services.query.views.shapes import View

STATES: Final = ("waiting", "redriven", "dropped", "repeats")


class LetterCountsView(View):
    """How many letters there are, by what became of them."""

    waiting: int = Field(description="Nothing has been done about them yet")
    redriven: int = Field(description="Sent back to their topics; one that failed again is another letter")
    dropped: int = Field(description="Given up")
    repeats: int = Field(
        description="Set aside again by a replay or after a crash; they share the fate of the first of their record"
    )


class LetterClassView(LetterCountsView):
    """The letters of one source and error class."""

    source: str | None = Field(description="Null where the letters do not say it, or belong to no source")
    error_class: str
    first_failed_at: AwareDatetime
    last_failed_at: AwareDatetime


class DeadLettersView(View):
    """The dead letters by source and error class; most waiting first."""

    dead_letters: list[LetterClassView]
    total: LetterCountsView


def dead_letters_body(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the content of the view."""
    letters = [{**dict(row.items()), "source": row["source"] or None} for row in rows]
    return {"dead_letters": letters, "total": {state: sum(row[state] for row in rows) for state in STATES}}

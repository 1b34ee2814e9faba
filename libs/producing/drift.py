"""Looking at an answer's rows for fields that are new, missing or of another type.

Few rows are looked at, and no drift is overlooked for long: a row whose fields have changed has other bytes, so it is news, and
only news is looked at; a change that is systematic is in nearly any of them. A glance at some finds it, a closer look at more
says how far it goes. Which rows those are depends on the run and on what is news, so a decision that is made anew is nearly
always the same decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from structlog.typing import FilteringBoundLogger

from libs.contracts.cursors import FieldShape, ShapeCursor
from libs.domain.shapes import (
    ROWS_THAT_TELL,
    DriftKind,
    FieldDrift,
    KnownField,
    Shape,
    compared,
    is_as_known,
    learned,
    sight,
    spread,
)
from libs.sources.source import Source

GLANCE_SHARE = 32
"""One in so many rows of the news is glanced at, but never fewer than tell of an absence, nor more than MOST_GLANCED."""
MOST_GLANCED = 64
CLOSE_LOOK = 256
"""Rows of the whole answer that are looked at when something seems to have changed: some 3 ms."""
WHOLE_LOOK = 4_096
"""Rows from which a source's shape is learned, when nothing is known of it: all of any answer that we have seen."""

MOST_NAMED = 20
"""Fields of a kind that the log names."""

_anything = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class KnownShape:
    """The fields of a source's rows, and the run that they were learned in."""

    learned_in: UUID
    shape: Shape


class Found(NamedTuple):
    """What a look has found: what is to be remembered from now on (None: what was), and what is to be told."""

    known: KnownShape | None = None
    drift: tuple[FieldDrift, ...] = ()


@dataclass(frozen=True, slots=True)
class Looking:
    """An answer about to be looked at. `others` tells how many rows each other shard's last answer had."""

    source: Source
    run_id: UUID
    shard: str
    rows: Sequence[bytes]
    known: KnownShape | None
    others: Mapping[str, int]

    def found(self, news: Sequence[int]) -> Found:
        """Look; `news` are the places of the rows that the shard did not have before."""
        if self.known is None or self.known.learned_in == self.run_id or not self.known.shape.fields:
            return self._learned()
        if not news:
            return Found()
        shape, of, count = self.known.shape, len(news), len(self.rows)
        glanced = min(MOST_GLANCED, max(ROWS_THAT_TELL, of // GLANCE_SHARE))
        glance = sight(self._decoded([news[place] for place in self._spread(glanced, of)]), self.source.type_of)
        if is_as_known(shape, self.shard, glance, rows=count, others=self.others):
            return Found()
        look = sight(self._decoded(self._spread(CLOSE_LOOK, count)), self.source.type_of)
        now, drift = compared(shape, self.shard, look, rows=count, others=self.others)
        return Found(KnownShape(self.known.learned_in, now) if now != shape else None, drift)

    def _learned(self) -> Found:
        """What nobody could compare with anything is no news."""
        before = self.known or KnownShape(self.run_id, Shape())
        whole = sight(self._decoded(self._spread(WHOLE_LOOK, len(self.rows))), self.source.type_of)
        shape = learned(before.shape, self.shard, whole)
        return Found(KnownShape(self.run_id, shape) if self.known is None or shape != before.shape else None)

    def _spread(self, count: int, of: int) -> Sequence[int]:
        return spread(count, of, self.run_id.int)

    def _decoded(self, places: Sequence[int]) -> list[Mapping[str, Any]]:
        """Read rows; what is none is a dead letter, and no drift."""
        decoded: list[Mapping[str, Any]] = []
        for place in places:
            try:
                row = _anything.decode(self.rows[place])
            except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
                continue
            if isinstance(row, dict):
                decoded.append(row)
        return decoded


def tell_drift(shard_log: FilteringBoundLogger, drift: Sequence[FieldDrift]) -> None:
    """Say it once, when it has been committed; what was told is also in the run's event, for who missed the line."""
    if not drift:
        return
    of_kind = {kind.value: [one for one in drift if one.kind is kind] for kind in DriftKind}
    fields = {kind: [one.field for one in told][:MOST_NAMED] for kind, told in of_kind.items() if told}
    retyped = {one.field: f"{'|'.join(one.was)} -> {'|'.join(one.now)}" for one in of_kind[DriftKind.RETYPED][:MOST_NAMED]}
    shard_log.warning("schema_drifted", drifted=len(drift), **fields | ({"retyped": retyped} if retyped else {}))


def shape_cursor(source: str, known: KnownShape) -> ShapeCursor:
    """Return what the source must remember."""
    fields = tuple(
        FieldShape(field=path, types=types, usual=usual) for path, (types, usual) in sorted(known.shape.fields.items())
    )
    lacking = {shard: tuple(sorted(paths)) for shard, paths in sorted(known.shape.lacking.items())}
    return ShapeCursor(source=source, learned_in=known.learned_in, fields=fields, lacking=lacking)


def known_shape(cursor: ShapeCursor) -> KnownShape:
    """Return what a source remembers."""
    fields = {one.field: KnownField(tuple(sorted(one.types)), one.usual) for one in cursor.fields}
    return KnownShape(cursor.learned_in, Shape(fields, {shard: frozenset(paths) for shard, paths in cursor.lacking.items()}))

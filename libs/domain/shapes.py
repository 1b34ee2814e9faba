"""The shape of a source's rows: which fields have values, and of which types. An answer is compared with what is known.

A null is no value: a field that is null or absent in some rows has the shape that it has in the others. What is known of a
field grows; it is forgotten when it is missing, so that its coming back is news again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

MOST_FIELDS = 500
"""Of a source; what comes beyond is not looked at. The recorded rows have 31 and 26."""
LONGEST_PATH = 200
"""Characters; a field under a longer name is not looked at."""
DEEPEST = 5
"""Objects within each other that are looked into; deeper ones are an `object`."""
MOST_KEYS = 64
"""Of an inner object: one with more is a map, whose keys are data and no fields."""

SYSTEMATIC_SHARE = 0.02
SYSTEMATIC_ROWS = 3
"""What is new must be in so large a share of the rows, and in so many (or in half, if there are fewer): one odd row is a matter
of that row, and where it cannot be applied it is a dead letter."""
USUAL_SHARE = 0.5
"""A field that had a value in this share of an answer's rows is one whose absence means something."""
ENOUGH_ROWS = 20
"""Rows without a usual field, all shards together, for it to be missing: by chance that happens once in a million times."""

ROWS_THAT_TELL = 16
"""Rows of a glance that must lack a usual field before somebody looks closer; fewer do if the answer has no more."""

TypeOf = Callable[[object], str | None]
"""The type of a value as its source tells it; None for no value."""

_JSON_TYPES: Mapping[type, str] = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
_IS_ALSO: Mapping[str, str] = {"numeral": "text"}
"""A column of texts may hold one that is written in digits: that is no other type."""


class DriftKind(StrEnum):
    """What became of a field."""

    NEW = "new"
    MISSING = "missing"
    RETYPED = "retyped"


class FieldDrift(NamedTuple):
    """One field that is not as it was known; the types that it was known with, and those that it has now."""

    kind: DriftKind
    field: str
    was: tuple[str, ...]
    now: tuple[str, ...]


class KnownField(NamedTuple):
    """What is known of a field: the types that it was seen with, sorted, and whether most rows have it."""

    types: tuple[str, ...]
    usual: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a source's rows. `lacking` tells for a shard which usual fields its last answer did not have."""

    fields: Mapping[str, KnownField] = field(default_factory=dict)
    lacking: Mapping[str, AbstractSet[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The fields of some rows: in how many of them each had a value of each type."""

    rows: int
    seen: Mapping[str, Mapping[str, int]]

    def share(self, path: str) -> float:
        """Return the share of the rows that had a value there."""
        return sum(self.seen.get(path, {}).values()) / self.rows if self.rows else 0.0


def json_type(value: object) -> str | None:
    """Return the JSON type of a value; None for null."""
    return _JSON_TYPES.get(type(value))


def sight(rows: Iterable[Mapping[str, Any]], type_of: TypeOf = json_type) -> Sighting:
    """Look at rows. A field of an inner object is `outer.inner`, one of a list's objects `outer[].inner`."""
    count, seen = 0, Counter[tuple[str, str]]()
    for count, row in enumerate(rows, 1):  # noqa: B007 - it counts
        seen.update(set(_values_in(row, "", type_of, DEEPEST)))
    by_path: dict[str, dict[str, int]] = {}
    for (path, type_), times in sorted(seen.items()):
        if len(path) <= LONGEST_PATH and "\0" not in path and (path in by_path or len(by_path) < MOST_FIELDS):
            by_path.setdefault(path, {})[type_] = times
    return Sighting(count, by_path)


def learned(shape: Shape, shard: str, whole: Sighting) -> Shape:
    """Return the shape with everything that was seen, whatever its share: nothing was known of the source before."""
    fields = dict(shape.fields)
    for path, types in whole.seen.items():
        _learn(fields, path, types, usual=whole.share(path) >= USUAL_SHARE)
    return _with_lacking(Shape(fields, shape.lacking), shard, whole)


def is_as_known(shape: Shape, shard: str, glance: Sighting, *, rows: int, others: Mapping[str, int]) -> bool:
    """Whether a glance at some rows of an answer shows nothing that calls for a closer look: `compared` says what it is."""
    if any(_unknown_types(shape, path, types) for path, types in glance.seen.items()):
        return False
    lacks = shape.lacking.get(shard, frozenset())
    tells_absence = glance.rows >= min(rows, ROWS_THAT_TELL)
    for path, known in shape.fields.items():
        if known.usual and (path in glance.seen if path in lacks else path not in glance.seen and tells_absence):
            return False
    return not _missing(shape, shard, rows, others)


def compared(
    shape: Shape, shard: str, look: Sighting, *, rows: int, others: Mapping[str, int]
) -> tuple[Shape, tuple[FieldDrift, ...]]:
    """Compare a good look at an answer with what is known; return what is known now, and what has drifted.

    `rows` is how many the answer has, `others` how many the last answer of each other shard had: a field is missing once no
    shard has it. Where shards took turns, each difference is told by the one that completes it, and by nobody again.
    """
    fields, drift = dict(shape.fields), list[FieldDrift]()
    for path, types in look.seen.items():
        new = {type_ for type_ in _unknown_types(shape, path, types) if _is_systematic(types[type_], look.rows)}
        if not new or (path not in fields and len(fields) >= MOST_FIELDS):
            continue
        was = fields[path].types if path in fields else ()
        _learn(fields, path, new, usual=look.share(path) >= USUAL_SHARE)
        kind = DriftKind.RETYPED if was else DriftKind.NEW
        drift.append(FieldDrift(kind, path, was, tuple(sorted(types))))
    now = _with_lacking(Shape(fields, shape.lacking), shard, look, shards={shard, *others})
    drift += [FieldDrift(DriftKind.MISSING, path, fields.pop(path).types, ()) for path in _missing(now, shard, rows, others)]
    return _without(now, fields), tuple(drift)


def _values_in(value: Mapping[str, Any], prefix: str, type_of: TypeOf, depth: int) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        type_ = type_of(inner)
        if type_ is None:
            continue
        yield path, type_
        if depth > 1:
            if isinstance(inner, dict) and len(inner) <= MOST_KEYS:
                yield from _values_in(inner, f"{path}.", type_of, depth - 1)
            elif isinstance(inner, list):
                for each in inner[:MOST_KEYS]:
                    if isinstance(each, dict) and len(each) <= MOST_KEYS:
                        yield from _values_in(each, f"{path}[].", type_of, depth - 1)


def _unknown_types(shape: Shape, path: str, types: Iterable[str]) -> list[str]:
    known = shape.fields[path].types if path in shape.fields else ()
    return [type_ for type_ in types if type_ not in known and _IS_ALSO.get(type_) not in known]


def _missing(shape: Shape, shard: str, rows: int, others: Mapping[str, int]) -> list[str]:
    """Return what this shard lacks, and every other one too, with enough rows among them."""
    if rows + sum(others.values()) < ENOUGH_ROWS:
        return []
    lacked = [shape.lacking.get(name, frozenset()) for name in (shard, *others)]
    return sorted(frozenset.intersection(*map(frozenset, lacked)))


def _is_systematic(hits: int, rows: int) -> bool:
    return hits >= SYSTEMATIC_SHARE * rows and (hits >= SYSTEMATIC_ROWS or 2 * hits >= rows)


def _learn(fields: dict[str, KnownField], path: str, types: Iterable[str], *, usual: bool) -> None:
    known = fields.get(path)
    if known is None and len(fields) >= MOST_FIELDS:
        return
    held = known or KnownField((), usual=False)
    fields[path] = KnownField(tuple(sorted({*held.types, *types})), held.usual or usual)


def _with_lacking(shape: Shape, shard: str, look: Sighting, *, shards: AbstractSet[str] | None = None) -> Shape:
    """Note what the shard lacks; shards that the source no longer has are forgotten, where they are told."""
    lacks = frozenset(path for path, known in shape.fields.items() if known.usual and path not in look.seen)
    kept = {name: paths for name, paths in shape.lacking.items() if name != shard and (shards is None or name in shards)}
    return Shape(shape.fields, {**kept, shard: lacks} if lacks else kept)


def _without(shape: Shape, fields: Mapping[str, KnownField]) -> Shape:
    """Return the shape with these fields only."""
    left = {shard: frozenset(path for path in paths if path in fields) for shard, paths in shape.lacking.items()}
    return Shape(fields, {shard: paths for shard, paths in left.items() if paths})


def spread(count: int, of: int, phase: int) -> Sequence[int]:
    """Return the places of `count` of so many things, evenly apart; another phase gives others, and in time all."""
    if count >= of:
        return range(of)
    return [(number * of + phase % of) // count for number in range(count)]

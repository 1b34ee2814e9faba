"""Rows whose fields are not as they were, as when a provider changes its API: every row, its digits as they stand."""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final


class DriftKind(StrEnum):
    """What becomes of a field of every row."""

    NEW = "new"
    MISSING = "missing"
    RETYPED = "retyped"


_PICTURE_OR_BETA = re.compile(r'"(?:image|beta_value)":(?:"[^"]*"|[^,}"]+),')
_VOLUME = re.compile(r'("(?:total_volume|volume_24h)":)([^,}"]+)')

_DRIFT: Final[Mapping[DriftKind, Callable[[str], str]]] = {
    DriftKind.NEW: lambda row: f'{row[:-1]},"sandbox_drift":"new"}}',
    DriftKind.MISSING: lambda row: _PICTURE_OR_BETA.sub("", row, count=1),
    DriftKind.RETYPED: lambda row: _VOLUME.sub(r'\1"\2"', row, count=1),
}


def drifted(rows: Iterable[str], kinds: Iterable[DriftKind]) -> list[str]:
    """Return the rows with `sandbox_drift` added, `image` or `beta_value` gone, the volume as a string."""
    changed = list(rows)
    for kind in kinds:
        changed = list(map(_DRIFT[kind], changed))
    return changed

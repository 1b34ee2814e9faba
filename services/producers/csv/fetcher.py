"""Files with a symbol column, a file a shard. All reading is done in threads."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import has_magic
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from libs.contracts.commands import LONGEST_SHARD, WHOLE_SOURCE
from libs.domain.rejections import Rejection
from libs.process.clock import Clock
from libs.producing.fetching import MOST_ROWS, Answer, FetchFailedError, NothingToDo, Permit
from libs.sources.answers import AnswerError
from libs.sources.csv_file import SOURCE
from libs.sources.delimited.table import read_table
from libs.sources.source import Source

SUFFIXES = frozenset({".csv", ".tsv"})
LARGEST_FILE = 256 * 1024 * 1024
QUIET = timedelta(seconds=2)
"""Who writes a file does not pause for longer within a line."""
LOOKS = 4
"""At a file that is being written, before the next run is left to read it."""


class _Reading(NamedTuple):
    """A file's bytes at one moment, and whether they are all: the last line ends, or nobody has touched the file for a while."""

    content: bytes
    modified_at: datetime
    is_whole: bool


class _Rows(NamedTuple):
    """A file's rows, as an Answer takes them."""

    payloads: list[bytes]
    positions: list[str]
    rejections: dict[int, Rejection]


@dataclass(frozen=True, slots=True)
class CsvFiles:
    """The files at `path`: a file, a folder, or a glob. A shard is a file's path below the part of `path` that is no pattern."""

    path: str
    clock: Clock
    source: Source = SOURCE

    async def shards(self) -> Sequence[str] | NothingToDo:
        """Return the files that are there."""
        files = await asyncio.to_thread(files_at, self.path)
        return sorted(files) if files else NothingToDo(f"there is no file at {self.path} (CSV_PATH)")

    async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 a file needs no permit
        """Read a file as it is now, but not in the middle of a line: a number cut short would pass for another.

        If whole lines are still to come, the next poll sees them.
        """
        files = await asyncio.to_thread(files_at, self.path)
        if shard not in files:
            raise FetchFailedError(f"{shard} is not (or no longer) among the files at {self.path} (CSV_PATH)")
        try:
            content, modified_at = await self._settled(files[shard], shard)
            rows = await asyncio.to_thread(_rows, content, shard)
        except AnswerError as error:
            raise FetchFailedError(str(error)) from error
        except OSError as error:
            raise FetchFailedError(f"{shard} cannot be read: {error.strerror or error}") from error
        now = self.clock.utc()
        # A file from a machine whose clock is ahead was still not written later than it was read.
        return Answer(
            rows.payloads, fetched_at=now, updated_at=min(modified_at, now), positions=rows.positions, rejections=rows.rejections
        )

    async def _settled(self, file: Path, name: str) -> tuple[bytes, datetime]:
        before: _Reading | None = None
        for look in range(LOOKS):
            if look:
                await self.clock.sleep(QUIET.total_seconds())
            reading = await asyncio.to_thread(_read, file, name)
            # The same twice is whole too: the file may be a machine's whose clock is ahead.
            if reading.is_whole or (before is not None and before.content == reading.content):
                return reading.content, reading.modified_at
            before = reading
        raise FetchFailedError(f"{name} is still being written: its last line has no end; the next run reads it")


def files_at(path: str) -> Mapping[str, Path]:
    """Return shard -> file. Raises FetchFailedError when a folder may not be looked into."""
    found = Path(path)
    try:
        if found.is_file():
            return _named([found], found.parent)
        if found.is_dir():
            return _named((file for file in found.iterdir() if file.suffix.lower() in SUFFIXES), found)
        if has_magic(path):
            root = _fixed_part(found)
            return _named(root.glob(str(found.relative_to(root))), root)
    except OSError as error:
        raise FetchFailedError(f"{path} (CSV_PATH) cannot be looked into: {error.strerror or error}") from error
    return {}


def _named(files: Iterable[Path], root: Path) -> dict[str, Path]:
    return {_shard(file.relative_to(root)): file for file in files if file.is_file() and not file.name.startswith(".")}


def _shard(relative: Path) -> str:
    """Name a file's shard in UTF-8; never like the whole source or a cursor of another kind."""
    name = os.fsencode(relative).decode("utf-8", "replace")
    if name == WHOLE_SOURCE or name.startswith("#"):
        name = f"./{name}"
    if len(name) <= LONGEST_SHARD:
        return name
    digest = sha256(os.fsencode(relative)).hexdigest()
    return f"{name[: LONGEST_SHARD - len(digest) - 1]}~{digest}"


def _fixed_part(pattern: Path) -> Path:
    return next((parent for parent in pattern.parents if not has_magic(str(parent))), Path())


def _read(file: Path, name: str) -> _Reading:
    with file.open("rb") as opened:
        before = os.fstat(opened.fileno())
        content = opened.read(LARGEST_FILE + 1)
        after = os.fstat(opened.fileno())
    if len(content) > LARGEST_FILE:
        raise AnswerError(f"{name} is larger than {LARGEST_FILE // 2**20} MiB: divide it")
    modified_at = datetime.fromtimestamp(after.st_mtime, UTC)
    untouched = (before.st_size, before.st_mtime_ns) == (len(content), after.st_mtime_ns)
    # In UTF-16 a line's end has a NUL behind it.
    ends = content.rstrip(b"\0").endswith((b"\n", b"\r")) or datetime.now(UTC) - modified_at > QUIET
    return _Reading(content, modified_at, untouched and ends)


def _rows(content: bytes, name: str) -> _Rows:
    rows = list(islice(read_table(content, name).rows, MOST_ROWS + 1))
    rejections = {place: row.rejection for place, row in enumerate(rows) if row.rejection is not None}
    return _Rows([row.payload for row in rows], [f"{name}:{row.line}" for row in rows], rejections)

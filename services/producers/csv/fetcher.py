"""Files with a symbol column, a file a shard. All reading is done in threads."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import has_magic
from itertools import islice
from pathlib import Path

from libs.contracts.commands import WHOLE_SOURCE
from libs.process.clock import Clock
from libs.producing.fetching import MOST_ROWS, Answer, FetchFailedError, NothingToDo, Permit, Row
from libs.sources.answers import AnswerError
from libs.sources.csv_file import SOURCE
from libs.sources.delimited.table import read_table
from libs.sources.source import Source

SUFFIXES = frozenset({".csv", ".tsv"})
LARGEST_FILE = 256 * 1024 * 1024


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
        """Read a file as it is now; if it is being written, the next poll sees the rest."""
        files = await asyncio.to_thread(files_at, self.path)
        if shard not in files:
            raise FetchFailedError(f"{shard} is not (or no longer) among the files at {self.path} (CSV_PATH)")
        now = self.clock.utc()
        try:
            rows, modified_at = await asyncio.to_thread(_read, files[shard], shard)
        except AnswerError as error:
            raise FetchFailedError(str(error)) from error
        except OSError as error:
            raise FetchFailedError(f"{shard} cannot be read: {error.strerror or error}") from error
        # A file from a machine whose clock is ahead was still not written later than it was read.
        return Answer(rows, fetched_at=now, updated_at=min(modified_at, now))


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
    return f"./{name}" if name == WHOLE_SOURCE or name.startswith("#") else name


def _fixed_part(pattern: Path) -> Path:
    return next((parent for parent in pattern.parents if not has_magic(str(parent))), Path())


def _read(file: Path, name: str) -> tuple[list[Row], datetime]:
    with file.open("rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
        modified_at = datetime.fromtimestamp(os.fstat(opened.fileno()).st_mtime, UTC)
    if len(content) > LARGEST_FILE:
        raise AnswerError(f"{name} is larger than {LARGEST_FILE // 2**20} MiB: divide it")
    table = read_table(content, name)
    rows = [Row(row.payload, f"{name}:{row.line}", row.rejection) for row in islice(table.rows, MOST_ROWS + 1)]
    return rows, modified_at

"""Files that somebody is still writing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.process.clock import SystemClock
from libs.producing.fetching import Answer, FetchFailedError
from services.producers.csv.fetcher import LOOKS, CsvFiles

HEAD = "symbol,price\nETH,2500\n"


class AnyTime:
    """A file needs no permit."""

    deadline = datetime.now(UTC) + timedelta(hours=1)

    async def admit(self) -> None: ...

    async def hold_until(self, time: datetime) -> None: ...


class Writer(SystemClock):
    """Whoever writes goes on while the producer waits."""

    def __init__(self, file: Path, *writes: str) -> None:
        self.file = file
        self.writes = list(writes)
        self.waits = 0
        self.write()

    def write(self) -> None:
        if self.writes:
            with self.file.open("a") as opened:
                opened.write(self.writes.pop(0))

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 nobody waits
        self.waits += 1
        self.write()


async def fetched(clock: SystemClock, file: Path) -> list[bytes]:
    answer: Answer = await CsvFiles(str(file), clock).fetch(file.name, AnyTime())
    return list(answer.rows)


async def test_a_cell_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    writer = Writer(file, HEAD + "BTC,676", "85.", "77\n")
    assert await fetched(writer, file) == [b'{"symbol":"ETH","price":"2500"}', b'{"symbol":"BTC","price":"67685.77"}']
    assert writer.waits == 2


async def test_a_file_that_is_never_at_the_end_of_a_line_fails_its_shard(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    writer = Writer(file, HEAD + "BTC,1", *("0" for _ in range(LOOKS)))
    with pytest.raises(FetchFailedError, match="still being written"):
        await fetched(writer, file)


async def test_a_last_line_without_an_end_is_read_once_nobody_writes(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    writer = Writer(file, HEAD + "BTC,67685.77")
    assert len(await fetched(writer, file)) == 2
    assert writer.waits == 1


async def test_whole_lines_are_read_at_once(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    writer = Writer(file, HEAD)
    assert len(await fetched(writer, file)) == 1
    file.write_bytes(HEAD.encode("utf-16"))
    assert len(await fetched(writer, file)) == 1
    assert writer.waits == 0

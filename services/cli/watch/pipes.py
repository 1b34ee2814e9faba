"""Writing lines to whoever reads our stdout: without holding Ctrl-C up when he is slow, and ending when he has gone."""

import asyncio
import os
import select
import stat
from typing import Final

AT_ONCE: Final = select.PIPE_BUF
"""Bytes that a pipe takes without blocking once it says that it takes any."""


class ReaderGoneError(Exception):
    """Nobody reads any more, such as `head` once it has its lines."""


class PatientWriter:
    """Writes to a file descriptor; a pipe that is full is waited for, and so nothing more is read from the API meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self._is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

    async def write(self, line: bytes) -> None:
        """Write all of it. Raises ReaderGoneError."""
        rest = memoryview(line)
        try:
            while rest:
                if self._is_pipe:
                    await self._until_writable()
                rest = rest[os.write(self._descriptor, rest[:AT_ONCE]) :]
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    async def until_reader_gone(self) -> None:
        """Wait until nobody reads, and raise ReaderGoneError; for ever where that cannot be seen."""
        gone = asyncio.Event()
        if not self._is_pipe:
            await gone.wait()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, gone.set)  # of a pipe's writing end that is the one thing that can be read
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._descriptor)
        raise ReaderGoneError

    async def _until_writable(self) -> None:
        loop, writable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._descriptor, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(self._descriptor)

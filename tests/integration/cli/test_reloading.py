"""`kasparro up --reload`, with a real process: the sandbox, which needs no broker."""

import asyncio
import os
from pathlib import Path

import pytest

from libs.devstack.children import Nursery
from services.cli.reloading import code_of, reload_when_saved
from services.cli.screen import Screen
from services.cli.supervising import Service, keep_running

START_SECONDS = 60.0


async def until_started(service: Service, *, after: int | None = None) -> int:
    """Wait until it serves (then it also stops when asked), in another process than the one before; return which."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            child = service.child
            if child is not None and child.process.pid != after and "sandbox_started" in service.log.read_text():
                return child.process.pid
            await asyncio.sleep(0.05)


async def test_a_service_is_started_again_when_its_code_is_saved_and_not_otherwise(nursery: Nursery, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "market.py").write_text("old = 1\n")
    environment = {**os.environ, "PORT": "0", "LOG_FORMAT": "json"}
    service = Service("sandbox", environment, tmp_path / "sandbox.log")

    async def save() -> None:
        first = await until_started(service)
        service.log.write_text("")
        (code / "notes.txt").write_text("no code")
        (code / "market.py").write_text("new = 2\n")
        os.utime(code / "market.py", ns=(1, 1))  # an older time is another one too
        second = await until_started(service, after=first)
        (code / "more.py").write_text("more = 3\n")
        await until_started(service, after=second)

    async with asyncio.TaskGroup() as tasks:
        screen = Screen()
        running = [
            tasks.create_task(keep_running(service, nursery, screen)),
            tasks.create_task(reload_when_saved({"sandbox": service}, screen, folders_of=lambda _: [code])),
        ]
        await save()
        for task in running:
            task.cancel()
    assert service.restarts == 0  # which counts what ended by itself
    assert service.child is not None
    service.child.reap()


@pytest.mark.parametrize("service", ["csv", "normalizer", "query", "sandbox"])
def test_a_services_code_is_its_own_folder_and_the_parts(service: str) -> None:
    libs, own = code_of(service)
    assert (libs / "domain").is_dir()
    assert (own / "__main__.py").is_file()

"""The jars are what the lock says, or there is one clear message and no jar."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.devstack.errors import JarsUnavailableError
from libs.devstack.jars import KAFKA, fetch_jars, read_lock
from libs.devstack.ports import free_port

CONTENT = {"one": b"first jar", "two": b"second jar"}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    lines = [f"{hashlib.sha256(content).hexdigest()}  org.example:{name}:1.0" for name, content in CONTENT.items()]
    path.write_text("# made up\n\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def served() -> dict[str, bytes]:
    return {f"/org/example/{name}/1.0/{name}-1.0.jar": content for name, content in CONTENT.items()}


@pytest.fixture
async def repository(served: dict[str, bytes]) -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.Response:
        content = served.pop(request.path, None)  # a second request for the same finds nothing
        return web.Response(status=404) if content is None else web.Response(body=content)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("jars/*")}


async def test_what_is_missing_is_fetched_once_and_told(lock: Path, repository: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        paths = await fetch_jars(
            lock, tmp_path / "jars", repository_url=repository, progress=lambda done, of: told.append((done, of))
        )
        assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert told == [(1, 2), (2, 2)]


async def test_other_bytes_are_refused_and_not_kept(
    lock: Path, served: dict[str, bytes], repository: str, tmp_path: Path
) -> None:
    served["/org/example/two/1.0/two-1.0.jar"] = b"something else"
    with pytest.raises(JarsUnavailableError, match=r"two-1.0.jar is not what some.lock says.*KAFKA_BOOTSTRAP_SERVERS"):
        await fetch_jars(lock, tmp_path / "jars", repository_url=repository)
    assert kept(tmp_path) <= {"one-1.0.jar"}


async def test_a_jar_that_the_repository_lacks_is_named(
    lock: Path, served: dict[str, bytes], repository: str, tmp_path: Path
) -> None:
    served.clear()
    with pytest.raises(JarsUnavailableError, match=r"answered 404.*MAVEN_REPOSITORY_URL"):
        await fetch_jars(lock, tmp_path / "jars", repository_url=repository)


async def test_a_repository_out_of_reach_is_named_with_what_to_do(lock: Path, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(JarsUnavailableError, match=rf"{nowhere}.*docker compose"):
        await fetch_jars(lock, tmp_path / "jars", repository_url=nowhere)


def test_the_lock_of_this_project_pins_every_jar() -> None:
    jars = read_lock(Path(__file__).parents[3] / "kafka.lock")
    assert {len(jar.sha256) for jar in jars} == {64}
    assert KAFKA in {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in jars}

"""What commands, `kasparro run` above all, make of the HTTP API's answers, of which a local server gives one at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from libs.devstack.ports import free_port
from services.cli.__main__ import app

COUNTS = dict.fromkeys(("fetched", "unchanged", "published", "stored", "duplicate", "dead_lettered"), 0)
UNTAKEN = {"run_id": "7", "source": "csv", "status": "requested", "error": None, "counts": COUNTS, "duration_ms": None}
ENDED = UNTAKEN | {"status": "succeeded", "duration_ms": 12}

Ran = Callable[..., Result]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ran]:
    """Run `kasparro run csv` against an API that gives one answer."""
    loop, port = asyncio.new_event_loop(), free_port()
    given: dict[str, Any] = {}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(given["body"], status=given["status"], headers={"Location": "/stats/runs/7"})

    async def serve() -> web.AppRunner:
        api = web.Application()
        api.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(api)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    monkeypatch.setenv("KASPARRO_API_URL", f"http://127.0.0.1:{port}")

    def run(status: HTTPStatus, body: Any, *words: str) -> Result:
        given.update(status=status, body=body)
        return CliRunner().invoke(app, list(words) or ["run", "csv"])

    yield run
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_run_that_ended_is_told_with_its_counts(ran: Ran) -> None:
    ended = ran(HTTPStatus.OK, ENDED)
    assert ended.exit_code == 0
    assert ended.stdout.startswith("csv: succeeded; 0 fetched, 0 unchanged")
    assert "12 ms" in ended.stdout


def test_a_run_that_nobody_took_says_so_in_the_words_of_the_api(ran: Ran) -> None:
    problem = {"code": "not_taken", "detail": "no producer of csv took the command", "run": UNTAKEN}
    ended = ran(HTTPStatus.GATEWAY_TIMEOUT, problem)
    assert ended.exit_code == 3
    assert ended.stdout == "csv: requested; run 7\n"
    assert ended.stderr == "error: not_taken: no producer of csv took the command\n"


def test_a_run_that_still_goes_on_has_an_exit_code_of_its_own_and_an_address(ran: Ran) -> None:
    ended = ran(HTTPStatus.ACCEPTED, UNTAKEN | {"status": "running"})
    assert ended.exit_code == 4
    assert "csv: running; run 7" in ended.stdout
    assert "/stats/runs/7" in ended.stdout
    assert "None" not in ended.stdout


@pytest.mark.parametrize(
    ("status", "code"), [(HTTPStatus.UNAUTHORIZED, 2), (HTTPStatus.NOT_FOUND, 2), (HTTPStatus.BAD_GATEWAY, 1)]
)
def test_whose_fault_it_is_decides_the_exit_code(ran: Ran, status: HTTPStatus, code: int) -> None:
    assert ran(status, {"code": "x", "detail": "y"}).exit_code == code


@pytest.mark.parametrize("words", [["run", "csv"], ["status"], ["status", "--json"], ["watch"], ["watch", "--once", "btc"]])
@pytest.mark.parametrize("body", ["not an object", []])
def test_something_else_at_the_address_is_told(ran: Ran, words: list[str], body: Any) -> None:
    ended = ran(HTTPStatus.OK, body, *words)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "is not Kasparro's HTTP API" in ended.stderr

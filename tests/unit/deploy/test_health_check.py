"""deploy/healthcheck.py, run as the engine runs it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from libs.devstack.ports import free_port

STATUS_OF = {"/health": 200, "/ready": 503, "/elsewhere": 302}


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(STATUS_OF[self.path])
        self.end_headers()
        self.wfile.write(b'{"status": "as the path says"}')

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def checked(port: int, path: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-IS", "deploy/healthcheck.py", "PORT", path]
    environment = {**os.environ, "PORT": str(port)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_page_that_answers_200_is_healthy(port: int) -> None:
    assert (checked(port, "/health").returncode, checked(port, "/health").stdout) == (0, "")


@pytest.mark.parametrize("path", ["/ready", "/elsewhere"])
def test_any_other_answer_is_not_and_is_shown(port: int, path: str) -> None:
    done = checked(port, path)
    assert done.returncode == 1
    assert str(STATUS_OF[path]) in done.stdout
    assert "as the path says" in done.stdout


def test_nobody_who_listens_is_not_healthy_and_is_said_in_a_line() -> None:
    done = checked(free_port(), "/health")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("PORT: ")
    assert done.stdout.count("\n") == 1

"""The sandbox as a process: it starts on its own, says where, and ends when told."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import aiohttp

from services.sandbox.app import SANDBOX_HEADER


@contextmanager
def started(**settings: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {"PATH": os.environ["PATH"], "LOG_FORMAT": "json", "PORT": "0", **settings}
    command = [sys.executable, "-m", "services.sandbox"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(stderr: IO[str] | None) -> str:
    assert stderr is not None
    line = json.loads(stderr.readline())
    assert line["event"] == "sandbox_started"
    address: str = line["addresses"][0]
    return address


async def test_the_process_serves_both_providers_and_ends_on_sigterm() -> None:
    with started(SANDBOX_STEP="77", SANDBOX_COINGECKO_LISTINGS="120", SANDBOX_COINPAPRIKA_LISTINGS="150") as process:
        address = address_of(process.stderr)
        async with aiohttp.ClientSession(address) as session:
            async with session.get("/v1/tickers") as answer:
                assert answer.headers[SANDBOX_HEADER] == "true"
                assert len(await answer.json()) == 150
            async with session.get("/api/v3/coins/markets?vs_currency=usd&per_page=250") as answer:
                assert len(await answer.json()) == 120
            async with session.get("/health") as answer:
                assert (await answer.json())["step"] == 77
        asked_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - asked_at < 5


def test_faults_of_the_environment_are_there_from_the_start_on_uvloop_too() -> None:
    faults = '[{"kind":"reset"},{"kind":"truncated"}]'
    with started(SANDBOX_FAULTS=faults, SANDBOX_COINPAPRIKA_LISTINGS="50") as process:
        host, port = address_of(process.stderr).removeprefix("http://").split(":")
        for expected in ("reset", "short"):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(b"GET /v1/tickers HTTP/1.1\r\nHost: sandbox\r\n\r\n")
                assert _end_of(connection) == expected


def _end_of(connection: socket.socket) -> str:
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:
        return "reset"
    head, body = received.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return "short" if len(body) < length else "whole"


def test_a_bad_value_ends_it_with_one_line_that_names_the_variable() -> None:
    for settings in ({"SANDBOX_STEP_SECONDS": "0"}, {"SANDBOX_FAULTS": "[{"}, {"SANDBOX_COINGECKO_LISTINGS": "20001"}):
        with started(**settings) as process:
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 2
            assert errors.startswith(f"error: {next(iter(settings))}: ")
            assert errors.count("\n") == 1


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started(PORT=port, SANDBOX_COINPAPRIKA_LISTINGS="10", SANDBOX_COINGECKO_LISTINGS="10") as process:
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 1
            assert errors.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
            assert errors.count("\n") == 1

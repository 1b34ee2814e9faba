"""Clients of the stream, as light as they can be: one process, a socket each, and nothing read of an event but when it was made.

A process of its own (`python -m benchmarks.stream_clients PORT CLIENTS QUERY…`): it says `ready` once every client has been
greeted, takes what comes until its standard input ends, and writes what it saw as JSON. The version of an asset is the time at
which it was published, in nanoseconds.
"""

import json
import re
import resource
import selectors
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Final

RECEIVED: Final = 262_144
LONGEST_EVENT: Final = 4_096
VERSION: Final = re.compile(rb'"version":(\d{10,})}\n')
SKIPPED: Final = re.compile(rb'{"skipped":(\d+)}\n')
MOST_KEPT: Final = 2_000_000
"""Of the times taken; of more, the first."""


def main(port: int, clients: int, queries: Sequence[str]) -> None:
    """Follow with so many clients, each asking with one of the queries in turn."""
    room = clients + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, max(room, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    ready = selectors.DefaultSelector()
    for number in range(clients):
        client = _greeted(port, queries[number % len(queries)])
        ready.register(client, selectors.EVENT_READ, (client, bytearray()))
    ready.register(sys.stdin, selectors.EVENT_READ)
    print("ready", flush=True)
    print(json.dumps(_followed(ready)), flush=True)


def _greeted(port: int, query: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(f"GET /data/stream{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    said = b""
    while b"event: hello" not in said:
        received = client.recv(RECEIVED)
        if not received or b"200 OK" not in said + received:
            raise SystemExit(f"error: {(said + received).decode(errors='replace')}")
        said += received
    client.setblocking(False)
    return client


def _followed(ready: selectors.BaseSelector) -> dict[str, float]:
    """Take everything until the standard input ends; milliseconds from the publication to here."""
    took, events, skipped, size = array("d"), 0, 0, 0
    while True:
        for key, _ in ready.select():
            if key.data is None:
                return _told(took, events, skipped, size)
            client, held = key.data
            received = client.recv(RECEIVED)
            if not received:
                raise SystemExit("error: the stream has ended")
            now, size = time.time_ns(), size + len(received)
            held += received
            versions = VERSION.findall(held)
            events += len(versions)
            if len(took) < MOST_KEPT:
                took.extend((now - int(version)) / 1e6 for version in versions)
            skipped += sum(map(int, SKIPPED.findall(held)))
            del held[: held.rindex(b"}\n") + 2 if b"}\n" in held else 0]


def _told(took: "array[float]", events: int, skipped: int, size: int) -> dict[str, float]:
    ordered = sorted(took) or [0.0]
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return {"events": events, "skipped": skipped, "bytes": size, "p50_ms": p50, "p99_ms": p99, "most_ms": ordered[-1]}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

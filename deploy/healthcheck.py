"""The health check of a container: exit code 0 when its own page answers 200, else 1 and what it says.

Usage: python healthcheck.py VARIABLE PATH, where the environment's VARIABLE holds the port. A bare socket, since it is
started every few seconds in each container: this costs a third of what importing an HTTP client does.
"""

import os
import socket
import sys

SECONDS = 4.0
MOST_BYTES = 4_096


def main() -> int:
    """Ask once. Docker keeps what is printed: `docker inspect` shows it."""
    variable, path = sys.argv[1:]
    try:
        with socket.create_connection(("127.0.0.1", int(os.environ[variable])), timeout=SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                text = answer.read(MOST_BYTES).decode(errors="replace")
    except OSError as error:
        print(f"{variable}: {error}")
        return 1
    status = text.partition("\r\n")[0].split(" ")[1:2]
    if status == ["200"]:
        return 0
    print(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())

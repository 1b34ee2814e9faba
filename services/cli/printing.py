"""What scripts read."""

import sys
from typing import Any

import msgspec


def print_json(value: Any) -> None:
    """Print dataclasses, structs and plain values as one JSON document."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

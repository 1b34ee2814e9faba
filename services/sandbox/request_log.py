"""What was asked of the sandbox: so that a test can count the requests that a quota should have counted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_KEPT = 10_000
"""Requests remembered; older ones are only counted."""


@dataclass(slots=True)
class AskedRequest:
    """One request. Header values are not kept, nor query values that may be keys; `status` is None until, or unless, answered."""

    at: datetime
    provider: str
    method: str
    path: str
    query: dict[str, str]
    header_names: tuple[str, ...]
    step: int
    fault: str | None = None
    status: int | None = None


class RequestLog:
    """The newest requests to either provider, oldest first."""

    def __init__(self) -> None:
        self.total = 0
        self._newest: deque[AskedRequest] = deque(maxlen=MOST_KEPT)

    def add(self, asked: AskedRequest) -> None:
        """Remember a request; what becomes of it may be filled in later."""
        self.total += 1
        self._newest.append(asked)

    def newest(self) -> Sequence[AskedRequest]:
        """Return what is remembered."""
        return list(self._newest)

    def clear(self) -> None:
        """Forget, and count from 0."""
        self.total = 0
        self._newest.clear()

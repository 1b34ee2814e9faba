"""A client's seat at the stream: what it reads, when it was told last, and what it asks for meanwhile."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from services.query.live.reading import Reader

SSE: Final = "sse"
WEBSOCKET: Final = "websocket"
TRANSPORTS: Final = (SSE, WEBSOCKET)


@dataclass(eq=False)
class Seat:
    """A client of the stream. Its own task reads; what it asks for instead waits in `asked` until that task takes it."""

    transport: str
    reader: Reader
    told_at: float
    life: asyncio.Timeout
    """Runs out when the service stops and the client does not take its end."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Queue[tuple[Reader, bool]] = field(default_factory=lambda: asyncio.Queue(1))
    """A reader, and whether what the client holds is void. One at a time: who asks faster than it is told waits."""
    reset: bool = False
    """What it holds is void: it must be told so before anything else."""
    sent: int = 0
    skipped: int = 0

"""What the stream is, for the document: its events are described in words and in docs/stream.md."""

from pydantic import RootModel


class EventStreamView(RootModel[str]):
    """Server-sent events: `hello`, and then `asset`, `removed`, `conflated`, `reset`; comments as heartbeats."""


class SocketView(RootModel[str]):
    """The events of /data/stream as JSON texts: `{"event", "id", "data"}`."""

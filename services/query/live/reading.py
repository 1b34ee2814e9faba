"""One client's place in the log, and what it is to be told next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from services.query.live.change_log import ChangeLog
from services.query.live.changes import Change
from services.query.live.positions import Position, encode_position
from services.query.live.wanted import Wanted

BATCH_BYTES = 32_768
"""About what is written to a client at once; it has taken all of that before there is more."""
WINDOW = 2_000
"""Changes that are looked through at once; then it is another client's turn."""


class Held(Enum):
    """What a client may hold of what was there when it came, and so what must be told as removed."""

    NOTHING = "nothing"
    AS_TOLD = "as told"
    ANYTHING = "anything"
    """It comes from before this process knew: all that has changed and does not fit is told as removed, needed or not."""


@dataclass
class Batch:
    """What a client is told at once. Clients that stand at one place and want the same get the same one, written out once."""

    place: int
    """Where it leads: the `seq` of the last change that it stands for."""
    told: Sequence[tuple[Change, bool]]
    """Changes, each as it is (True) or as removed."""
    skipped: int = 0
    """How many it was not told before these, because a later one of the same asset is there."""
    more: bool = False
    """There is more behind it already."""

    def __bool__(self) -> bool:
        return bool(self.told or self.skipped)

    @cached_property
    def as_sse(self) -> bytes:
        """As server-sent events. `conflated` has no id: a client that breaks off behind it stands where it did before."""
        events = [change.event if fits else change.as_removed() for change, fits in self.told]
        return b"".join([b'event: conflated\ndata: {"skipped":%d}\n\n' % self.skipped, *events] if self.skipped else events)

    @cached_property
    def as_texts(self) -> Sequence[bytes]:
        """As the texts of a WebSocket."""
        texts = [change.as_text() if fits else change.as_removed_text() for change, fits in self.told]
        return [b'{"event":"conflated","id":null,"data":{"skipped":%d}}' % self.skipped, *texts] if self.skipped else texts


@dataclass(slots=True)
class Reader:
    """A place in a log. `take` moves it on."""

    log: ChangeLog
    wanted: Wanted
    place: int
    """The `seq` of the last change that it has passed."""
    held: Held = Held.NOTHING
    came_from: Position | None = None
    """What is below its offsets the client has, perhaps from another process, that was ahead of this one."""
    begun: int = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.log.end

    @property
    def position(self) -> bytes:
        """The id that a client has which stands here, before it is told anything."""
        if self.came_from is not None:
            return encode_position(*self.came_from)
        return self.log.position if self.place >= self.log.end else self.log.beginning

    @property
    def is_ordinary(self) -> bool:
        """Whether it gets what every other one gets that wants the same and stands at the same place."""
        return self.came_from is None and self.place >= self.begun

    def take(self, at_most: int = BATCH_BYTES) -> Batch:
        """Return what comes next, about so many bytes at most, and stand behind it.

        Every change while it is not far behind (ChangeLog.prompt); else the latest of each asset, and how many were left out.
        """
        if self.place >= self.log.end and self.came_from is None:  # nearly always, just after it was told the last
            return Batch(self.place, ())
        changes, first = self.log.changes, self.log.first_after(self.place)
        window = changes[first : first + WINDOW]
        every_one = len(changes) - first <= self.log.prompt
        uids = self.wanted.uids
        told: list[tuple[Change, bool]] = []
        size = skipped = 0
        for change in window if uids is None else [change for change in window if change.uid in uids]:
            if size >= at_most:
                return Batch(self.place, told, skipped, more=True)
            self.place = change.seq
            fits = self._fits(change)
            if fits is None:
                continue
            if fits and change.successor is not None and (change.seq <= self.begun or not every_one):
                skipped += change.seq > self.begun  # of what was there when it came, it wants the newest
                continue
            told.append((change if self.came_from is None else change.behind(self.came_from), fits))
            size += len(change.event)
        self.place = window[-1].seq if window else self.place
        if self.came_from is not None and self.place >= self.begun and self.log.has(self.came_from):
            self.came_from = None
        return Batch(self.place, told, skipped, more=self.place < self.log.end)

    def _fits(self, change: Change) -> bool | None:
        """Whether to tell it as it is (True), as removed (False), or not at all."""
        if self.came_from is not None and change.offset < self.came_from.offsets[change.partition]:
            return None
        if change.is_wanted(self.wanted):
            return True
        if change.seq > self.begun or self.held is Held.AS_TOLD:
            return False if change.was_wanted(self.wanted) else None
        return False if self.held is Held.ANYTHING else None

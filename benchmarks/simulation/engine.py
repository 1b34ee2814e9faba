"""Discrete events: processes are generators that yield what they wait for, and are resumed when it has come.

The same processes give the same history: events at one time happen in the order in which they were asked for.
"""

from collections import deque
from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Generic, TypeVar

Resume = Callable[[], None]
Wait = Callable[[Resume], None]
"""Calls what it is given once what is waited for has come."""
Process = Generator[Wait, None, None]

Thing = TypeVar("Thing")
TURN_SECONDS = 0.005
"""Whoever works gives way after this, as the normalizer does every 200 records and an operating system does anyway."""


class Simulation:
    """The clock, and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Resume]] = []
        self._asked = 0

    def start(self, process: Process) -> None:
        """Let a process begin now."""

        def resume() -> None:
            wait = next(process, None)
            if wait is not None:
                wait(resume)

        self._at(self.now, resume)

    def sleep(self, seconds: float) -> Wait:
        """Wait for some time."""
        return lambda resume: self._at(self.now + seconds, resume)

    def run(self, until: float) -> None:
        """Let happen what happens before a time, or until nothing is left to happen."""
        while self._events and self._events[0][0] <= until:
            self.now, _, resume = heappop(self._events)
            resume()

    def soon(self, resume: Resume) -> None:
        """Resume after what has been asked for already at this time."""
        self._at(self.now, resume)

    def _at(self, time: float, resume: Resume) -> None:
        self._asked += 1
        heappush(self._events, (time, self._asked, resume))


class Servers:
    """So many that work alike, such as cores; who finds none free waits its turn. `busy` are the seconds worked by all."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self._simulation = simulation
        self._free = number
        self._waiting: deque[Resume] = deque()
        self.number = number
        self.busy = 0.0

    def work(self, seconds: float, *, on: "Servers | None" = None, turn: float = TURN_SECONDS) -> Process:
        """Work for so long, in turns; `on` is what each turn needs besides, such as a core for a thread."""
        while seconds > 0:
            part = min(seconds, turn)
            yield self._take
            if on is not None:
                yield from on.work(part, turn=part)
            else:
                yield self._simulation.sleep(part)
            self.busy += part
            self._give_back()
            seconds -= part

    def _take(self, resume: Resume) -> None:
        if self._free:
            self._free -= 1
            self._simulation.soon(resume)
        else:
            self._waiting.append(resume)

    def _give_back(self) -> None:
        if self._waiting:
            self._simulation.soon(self._waiting.popleft())
        else:
            self._free += 1


class Queue(Generic[Thing]):
    """What waits to be taken by one process: `most` at a time, by their sizes, or one alone. Who brings more waits."""

    def __init__(self, simulation: Simulation, most: int, size: Callable[[Thing], int] = lambda _: 1) -> None:
        self._simulation = simulation
        self._most = most
        self._size = size
        self._held: deque[Thing] = deque()
        self._taker: Resume | None = None
        self._bringers: deque[Resume] = deque()

    def put(self, thing: Thing) -> Process:
        """Leave a thing here as soon as there is room."""
        while self._held and sum(map(self._size, self._held)) + self._size(thing) > self._most:
            yield self._bringers.append
        self._held.append(thing)
        if self._taker is not None:
            taker, self._taker = self._taker, None
            self._simulation.soon(taker)

    def take(self) -> Generator[Wait, None, Thing]:
        """Return the next thing once there is one."""
        while not self._held:
            yield self._wait_for_one
        thing = self._held.popleft()
        if self._bringers:
            self._simulation.soon(self._bringers.popleft())
        return thing

    def take_all(self) -> Generator[Wait, None, list[Thing]]:
        """Return everything that is here once there is something."""
        things = [(yield from self.take()), *self._held]
        self._held.clear()
        while self._bringers:
            self._simulation.soon(self._bringers.popleft())
        return things

    def _wait_for_one(self, resume: Resume) -> None:
        self._taker = resume

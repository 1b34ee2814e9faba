"""The sandbox's time: a step number that follows the wall clock, or stays where a test put it."""

from libs.process.clock import Clock


class Steps:
    """Which step it is. Steps of the wall clock are counted from the Unix epoch, so every start agrees on them."""

    def __init__(self, step_seconds: int, clock: Clock, held_at: int | None = None) -> None:
        self.step_seconds = step_seconds
        self._clock = clock
        self._held_at = held_at

    @property
    def held(self) -> bool:
        """Whether time stands still until told otherwise."""
        return self._held_at is not None

    def current(self) -> int:
        """Return the step that requests are answered at."""
        return self._wall_step() if self._held_at is None else self._held_at

    def hold(self, step: int | None = None) -> None:
        """Stop at a step, by default the current one."""
        self._held_at = self.current() if step is None else step

    def advance(self, steps: int) -> None:
        """Move by so many steps (back too: clocks do jump) and stop there."""
        self._held_at = max(0, self.current() + steps)

    def release(self) -> None:
        """Follow the wall clock again."""
        self._held_at = None

    async def next_step(self) -> None:
        """Wait until the wall clock begins another step."""
        seconds = self._clock.utc().timestamp()
        await self._clock.sleep(self.step_seconds - seconds % self.step_seconds)

    def _wall_step(self) -> int:
        return int(self._clock.utc().timestamp() // self.step_seconds)

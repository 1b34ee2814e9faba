"""What a worker says of itself, judged by a clock that is moved: the rest is seen at work, in the integration tests."""

from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.streaming.progress import Membership
from services.normalizer.health import Health

STALLED = 60.0


class Stopped(SystemClock):
    """A clock that stands until it is moved."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def after(clock: Stopped, health: Health, seconds: float) -> tuple[str, bool]:
    clock.now += seconds
    told = health.told()
    return told.body["status"], told.live


def test_a_worker_that_never_gets_back_into_its_group_is_not_live() -> None:
    clock = Stopped()
    member = Membership("member", 1, [])
    held: list[Membership | None] = [member]
    health = Health(clock, OutageBoard(clock), "g", STALLED, membership=lambda: held[0], phase=None)
    assert after(clock, health, 1) == ("ok", True)
    held[0] = None
    assert after(clock, health, 0) == ("starting", True)
    assert after(clock, health, STALLED - 1) == ("starting", True)
    assert after(clock, health, 1) == ("stalled", False)
    held[0] = member
    assert after(clock, health, 1) == ("ok", True)


def test_a_worker_that_an_outage_keeps_out_of_its_group_waits() -> None:
    clock = Stopped()
    board = OutageBoard(clock)
    health = Health(clock, board, "g", STALLED, phase=None)
    wait = board.begin("kafka")
    assert after(clock, health, 10 * STALLED) == ("waiting", True)
    board.end(wait)
    assert after(clock, health, 0) == ("starting", True)
    assert after(clock, health, STALLED) == ("stalled", False)

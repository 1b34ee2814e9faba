"""What a producer says of itself, judged by a clock that is moved: waiting is not dead, standing still is."""

from datetime import timedelta

from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.producing.health import ProducerHealth

STALLED = 60.0


class Stopped(SystemClock):
    """A clock that stands until it is moved."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


def made() -> tuple[Stopped, ProducerHealth]:
    clock = Stopped()
    health = ProducerHealth(clock, OutageBoard(clock), STALLED)
    return clock, health


def after(clock: Stopped, health: ProducerHealth, seconds: float) -> tuple[str, bool, bool]:
    clock.now += seconds
    told = health.told()
    return told.body["status"], told.live, told.ready


def test_a_producer_with_nothing_to_do_is_well_for_ever() -> None:
    clock, health = made()
    assert after(clock, health, 0) == ("starting", True, False)
    health.joined([0, 1])
    health.activity(0)
    health.activity(1)
    assert after(clock, health, 100 * STALLED) == ("ok", True, True)


def test_one_that_holds_nothing_since_others_hold_everything_is_well() -> None:
    clock, health = made()
    health.joined([])
    assert after(clock, health, 100 * STALLED) == ("ok", True, True)


def test_a_command_that_stands_still_is_a_stall_and_says_where() -> None:
    clock, health = made()
    health.joined([3])
    activity = health.activity(3)
    with activity.carrying_out(17):
        assert after(clock, health, STALLED - 1) == ("ok", True, True)
        activity.go_on()
        assert after(clock, health, STALLED - 1) == ("ok", True, True)
        assert after(clock, health, 1) == ("stalled", False, False)
        (command,) = health.told().body["commands"]
        assert (command["partition"], command["offset"], command["still_seconds"]) == (3, 17, STALLED)
    assert after(clock, health, STALLED) == ("ok", True, True)


def test_a_command_that_waits_for_the_quota_does_what_it_should() -> None:
    clock, health = made()
    health.joined([0])
    activity = health.activity(0)
    with activity.carrying_out(1):
        activity.go_on(waiting_seconds=timedelta(hours=6).total_seconds())
        assert after(clock, health, timedelta(hours=6).total_seconds()) == ("ok", True, True)
        assert after(clock, health, STALLED)[0] == "stalled"


def test_what_an_outage_holds_up_waits_and_has_its_time_again_afterwards() -> None:
    clock, health = made()
    health.joined([0])
    with health.activity(0).carrying_out(1):
        wait = health.board.begin("kafka")
        wait.failed(OSError("nobody there"))
        assert after(clock, health, 100 * STALLED) == ("waiting", True, False)
        assert "nobody there" in health.told().body["dependencies"]["kafka"]["error"]
        health.board.end(wait)
        assert after(clock, health, STALLED - 1) == ("ok", True, True)
        assert after(clock, health, 1)[0] == "stalled"


def test_a_schedule_that_does_not_look_when_it_should_is_a_stall() -> None:
    clock, health = made()
    health.joined([0])
    health.schedule_sleeps(300)
    assert after(clock, health, 300 + STALLED - 1) == ("ok", True, True)
    assert after(clock, health, 1) == ("stalled", False, False)
    health.schedule_sleeps(300)
    assert after(clock, health, 1) == ("ok", True, True)


def test_one_that_never_gets_back_into_its_group_is_a_stall() -> None:
    clock, health = made()
    health.joined([0])
    with health.activity(0).carrying_out(1):
        health.joined(None)
    assert after(clock, health, 0) == ("starting", True, False)
    assert after(clock, health, STALLED - 1) == ("starting", True, False)
    assert after(clock, health, 1) == ("stalled", False, False)
    health.joined([1])
    assert after(clock, health, 0) == ("ok", True, True)

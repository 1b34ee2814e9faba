from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest

from libs.contracts.cursors import QuotaUsage
from libs.process.outgoing import RETRY_AFTER_FLOOR, retry_after
from libs.producing.quota import Budget, MonthSpentError, OwnMinute, counted, held, left_of, requests_a_month, wait_before_request

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def usage(partition: int, *sent: datetime) -> QuotaUsage:
    slot = None
    for time in sent:
        slot = counted(slot, "any", partition, time)
    assert slot is not None
    return slot


def test_the_minute_is_shared_by_all_partitions_and_frees_itself_one_by_one() -> None:
    slots = [usage(0, NOON, NOON + timedelta(seconds=20)), usage(1, NOON + timedelta(seconds=10))]
    now = NOON + timedelta(seconds=30)
    assert wait_before_request(slots, Budget(per_minute=4), now) == timedelta(0)
    assert wait_before_request(slots, Budget(per_minute=3), now) == timedelta(seconds=30)
    assert wait_before_request(slots, Budget(per_minute=2), now) == timedelta(seconds=40)


def test_the_month_is_the_sum_of_the_partitions_and_starts_anew_on_the_first() -> None:
    slots = [usage(0, NOON, NOON), usage(1, NOON)]
    with pytest.raises(MonthSpentError, match="3 of 3"):
        wait_before_request(slots, Budget(per_month=3), NOON)
    assert wait_before_request(slots, Budget(per_month=3), datetime(2026, 12, 1, tzinfo=UTC)) == timedelta(0)
    december = counted(slots[0], "any", 0, datetime(2026, 12, 1, tzinfo=UTC))
    assert (december.month, december.month_requests) == (date(2026, 12, 1), 1)


def test_what_is_left_is_what_is_allowed_less_what_all_partitions_have_sent() -> None:
    slots = [usage(0, NOON, NOON + timedelta(seconds=20)), usage(1, NOON + timedelta(seconds=10))]
    now = NOON + timedelta(seconds=30)
    assert left_of(slots, Budget(per_minute=4, per_month=10), now) == {"minute": 1, "month": 7}
    assert left_of(slots, Budget(per_minute=2, per_month=2), now) == {"minute": 0, "month": 0}
    assert left_of(slots, Budget(per_month=10), datetime(2026, 12, 1, tzinfo=UTC)) == {"month": 10}
    assert left_of(slots, Budget(), now) == {}
    assert left_of([], Budget(per_minute=4), now) == {"minute": 4}


def test_a_slot_tells_the_budget_of_its_owner() -> None:
    slot = counted(None, "any", 0, NOON, Budget(per_minute=5))
    assert (slot.minute_limit, slot.month_limit) == (5, None)
    assert counted(slot, "any", 0, NOON, Budget(per_month=9)).month_limit == 9


def test_a_clock_that_jumps_over_a_months_end_and_back_forgets_no_request() -> None:
    jumped = counted(usage(0, NOON, NOON), "any", 0, datetime(2026, 12, 1, tzinfo=UTC))
    with pytest.raises(MonthSpentError, match="2 of 2"):
        wait_before_request([jumped], Budget(per_month=2), NOON)
    back = counted(jumped, "any", 0, NOON)
    with pytest.raises(MonthSpentError, match="3 of 3"):
        wait_before_request([back], Budget(per_month=3), NOON)
    december = counted(back, "any", 0, datetime(2026, 12, 1, tzinfo=UTC))
    assert december.month_requests == 2
    january = counted(december, "any", 0, datetime(2027, 1, 1, tzinfo=UTC))
    assert (january.month_requests, january.other_month, january.other_month_requests) == (1, date(2026, 12, 1), 2)


def test_a_month_ends_where_utc_says_so() -> None:
    late = datetime.fromisoformat("2026-11-30T23:30:00-05:00")
    assert counted(None, "any", 0, late).month == date(2026, 12, 1)


def test_a_clock_that_was_set_back_does_not_hold_requests_for_as_long_as_it_was_wrong() -> None:
    slot = usage(0, NOON + timedelta(days=3))
    assert wait_before_request([slot], Budget(per_minute=1), NOON) == timedelta(0)


def test_retry_after_holds_every_partition_and_no_longer_than_a_day() -> None:
    slot = held(None, "any", 2, NOON + timedelta(seconds=90), NOON)
    assert wait_before_request([slot, usage(0, NOON)], Budget(), NOON) == timedelta(seconds=90)
    assert held(None, "any", 2, NOON + timedelta(days=90), NOON).blocked_until == NOON + timedelta(days=1)


def test_what_a_process_saw_itself_of_the_minute_and_of_a_hold_frees_itself_by_monotonic_time() -> None:
    own = OwnMinute()
    for at in (100.0, 110.0, 120.0):
        own.sent(at)
    assert own.wait(Budget(per_minute=2), 130.0) == timedelta(seconds=40)
    assert own.wait(Budget(per_minute=4), 130.0) == own.wait(Budget(), 130.0) == timedelta(0)
    assert own.wait(Budget(per_minute=2), 171.0) == timedelta(0)
    own.hold_until(200.0)
    assert own.wait(Budget(), 171.0) == timedelta(seconds=29)


def test_only_the_last_minute_is_kept() -> None:
    slot = usage(0, NOON, NOON + timedelta(seconds=30), NOON + timedelta(seconds=80))
    assert slot.recent_requests == (NOON + timedelta(seconds=30), NOON + timedelta(seconds=80))
    assert slot.month_requests == 3


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry-After": "30"}, timedelta(seconds=30)),
        ({"Retry-After": "0"}, RETRY_AFTER_FLOOR),
        ({"Retry-After": format_datetime(NOON + timedelta(seconds=45), usegmt=True)}, timedelta(seconds=45)),
        ({"Retry-After": format_datetime(NOON - timedelta(days=1), usegmt=True)}, RETRY_AFTER_FLOOR),
        (
            # The provider's clock is ten minutes ahead of ours, and says so.
            {
                "Retry-After": format_datetime(NOON + timedelta(minutes=11), usegmt=True),
                "Date": format_datetime(NOON + timedelta(minutes=10), usegmt=True),
            },
            timedelta(minutes=1),
        ),
        ({"Retry-After": "9" * 5_000}, timedelta(days=365)),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "١٢"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_below_the_floor(headers: dict[str, str], waits: timedelta | None) -> None:
    assert retry_after(headers, NOON) == waits


def test_a_free_month_lasts_when_polled_every_three_minutes_or_slower() -> None:
    assert requests_a_month(1, timedelta(minutes=3)) == 14_880
    assert requests_a_month(1, timedelta(minutes=2)) > 20_000

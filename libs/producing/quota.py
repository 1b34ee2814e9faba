"""The quota of one API key: a budget a minute and a month, counted before each request, kept in etl.cursors.

A grow-only counter with one slot a command partition: each owner writes only its own, the use is the sum, and it survives
restarts. A request that was counted and then not sent costs one of the budget; one that was sent and not counted cannot be.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from libs.contracts.cursors import MINUTE, QuotaUsage, month_of
from libs.process.clock import Clock
from libs.producing.cursors import CursorView
from libs.producing.fetching import FetchFailedError
from libs.producing.health import Activity
from libs.producing.writing import PartitionWriter, Writing

log = structlog.get_logger(__name__)

SAME_MOMENT = timedelta(seconds=1)
"""A request is counted as sent by this much too early at most, and by what its transaction takes."""
LONGEST_HOLD = timedelta(days=1)
"""A provider that asks for more is asked again after this."""
DAYS_A_MONTH = 31


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests that the plan of a key allows; None is no limit."""

    per_minute: int | None = None
    per_month: int | None = None


UNLIMITED = Budget()


class MonthSpentError(Exception):
    """The month's budget is used up."""


def wait_before_request(usages: Iterable[QuotaUsage], budget: Budget, now: datetime) -> timedelta:
    """Return how long to wait before the next request; nothing when it may be sent now. Raises MonthSpentError."""
    slots = list(usages)
    spent = sum(slot.by_month.get(month_of(now), 0) for slot in slots)
    if budget.per_month is not None and spent >= budget.per_month:
        raise MonthSpentError(f"{spent} of {budget.per_month} requests")
    waits = [timedelta(0), *(slot.blocked_until - now for slot in slots if slot.blocked_until is not None)]
    # Times of many zone objects compare slowly, so they are looked at only where there are enough of them to matter.
    if budget.per_minute is not None and sum(len(slot.recent_requests) for slot in slots) >= budget.per_minute:
        recent = sorted(time for slot in slots for time in slot.within_a_minute(now))
        if len(recent) >= budget.per_minute:
            waits.append(recent[len(recent) - budget.per_minute] + MINUTE - now)
    return max(waits)


def left_of(usages: Iterable[QuotaUsage], budget: Budget, now: datetime) -> dict[str, int]:
    """Return how many requests are left, in this minute and in this month, of what is limited."""
    slots, left = list(usages), dict[str, int]()
    if budget.per_minute is not None:
        recent = sum(len(slot.within_a_minute(now)) for slot in slots)
        left["minute"] = max(0, budget.per_minute - recent)
    if budget.per_month is not None:
        spent = sum(slot.by_month.get(month_of(now), 0) for slot in slots)
        left["month"] = max(0, budget.per_month - spent)
    return left


def counted(
    usage: QuotaUsage | None, source: str, command_partition: int, now: datetime, budget: Budget = UNLIMITED
) -> QuotaUsage:
    """Return a slot with one request more. A clock that jumps over a month's end and back finds the month's count again."""
    by_month = usage.by_month if usage is not None else {}
    month = month_of(now)
    other = max((each for each in by_month if each != month), default=None)
    return QuotaUsage(
        source=source,
        command_partition=command_partition,
        month=month,
        month_requests=by_month.get(month, 0) + 1,
        other_month=other,
        other_month_requests=by_month[other] if other is not None else 0,
        recent_requests=(*(usage.within_a_minute(now) if usage else ()), now),
        blocked_until=usage.blocked_until if usage and usage.blocked_until and usage.blocked_until > now else None,
        minute_limit=budget.per_minute,
        month_limit=budget.per_month,
    )


def held(usage: QuotaUsage | None, source: str, command_partition: int, until: datetime, now: datetime) -> QuotaUsage:
    """Return a slot that holds everybody's requests back."""
    slot = usage or QuotaUsage(
        source=source, command_partition=command_partition, month=month_of(now), month_requests=0, recent_requests=()
    )
    return slot.model_copy(update={"blocked_until": min(until, now + LONGEST_HOLD)})


def requests_a_month(requests_a_run: int, interval: timedelta) -> int:
    """Return what the schedule alone needs in the longest month."""
    return int(timedelta(days=DAYS_A_MONTH) / interval) * requests_a_run


class OwnMinute:
    """What this process itself has sent and was told, by the time that it saw pass: a clock that jumps undoes none of that."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque()
        self._held_until = 0.0

    def sent(self, at: float) -> None:
        """Note a request, by its monotonic time."""
        self._sent.append(at)

    def hold_until(self, at: float) -> None:
        """Note the provider's Retry-After."""
        self._held_until = at

    def wait(self, budget: Budget, at: float) -> timedelta:
        """Return how long to wait before the next request; nothing when it may be sent now."""
        minute = MINUTE.total_seconds()
        while self._sent and self._sent[0] <= at - minute:
            self._sent.popleft()
        free_at = self._held_until
        if budget.per_minute is not None and len(self._sent) >= budget.per_minute:
            free_at = max(free_at, self._sent[-budget.per_minute] + minute)
        return timedelta(seconds=max(0.0, free_at - at))


@dataclass(frozen=True, slots=True)
class KeyQuota:
    """The quota as the owner of one command partition keeps it; `own` is shared by all that the process owns."""

    source: str
    command_partition: int
    budget: Budget
    writer: PartitionWriter
    view: CursorView
    clock: Clock
    own: OwnMinute
    activity: Activity

    def permit(self, deadline: datetime) -> "QuotaPermit":
        """Return the permit of one command."""
        return QuotaPermit(self, deadline)


@dataclass(frozen=True, slots=True)
class QuotaPermit:
    """Leave to send the requests of one command; a libs.producing.fetching.Permit."""

    quota: KeyQuota
    deadline: datetime

    async def admit(self) -> None:
        """Count one request, waiting for the budget; see Permit."""
        while (wait := await self._try_to_count()) > timedelta(0):
            self._check_deadline(wait)
            self.quota.activity.go_on(waiting_seconds=wait.total_seconds())
            log.info("quota_waited_for", seconds=round(wait.total_seconds(), 1))
            await self.quota.clock.sleep(wait.total_seconds())
        self.quota.activity.go_on()

    async def hold_until(self, time: datetime) -> None:
        """Write down the provider's Retry-After; see Permit."""
        quota = self.quota
        seconds = min(time - quota.clock.utc(), LONGEST_HOLD).total_seconds()
        quota.own.hold_until(quota.clock.monotonic() + seconds)

        async def compose() -> Writing:
            usage = quota.view.usages.get(quota.command_partition)
            return Writing([held(usage, quota.source, quota.command_partition, time, quota.clock.utc())])

        await quota.writer.write(compose)

    async def _try_to_count(self) -> timedelta:
        quota, wait = self.quota, timedelta(0)
        asked_at: datetime | None = None

        async def compose() -> Writing | None:
            nonlocal wait, asked_at
            now = quota.clock.utc()
            if asked_at is not None and abs(now - asked_at) < SAME_MOMENT:  # decided anew, it is the same request
                now = asked_at
            asked_at = now
            wait = wait_before_request(quota.view.usages.values(), quota.budget, now)
            wait = max(wait, quota.own.wait(quota.budget, quota.clock.monotonic()))
            if wait > timedelta(0):
                return None
            usage = quota.view.usages.get(quota.command_partition)
            return Writing([counted(usage, quota.source, quota.command_partition, now, quota.budget)])

        try:
            if await quota.writer.write(compose):
                quota.own.sent(quota.clock.monotonic())
        except MonthSpentError as error:
            raise FetchFailedError(
                f"the month's quota of the {quota.source} key is used up ({error}): it starts anew on the 1st (UTC); "
                "poll less often, take a larger plan, or raise the budget in the settings if the plan has more"
            ) from error
        return wait

    def _check_deadline(self, wait: timedelta) -> None:
        until = self.quota.clock.utc() + wait
        if until > self.deadline:
            raise FetchFailedError(
                f"{self.quota.source} may not be asked before {until:%Y-%m-%d %H:%M:%S} UTC (Retry-After, or the budget a minute "
                f"is used up), and this poll expires at {self.deadline:%H:%M:%S}: the next run asks again"
            )

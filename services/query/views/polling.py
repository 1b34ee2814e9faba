"""How a source is polled, as the API shows it: its schedule, and what is left of its quota."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, Field

from libs.contracts.cursors import QuotaUsage, ScheduleMark, month_of
from services.query.views.shapes import View

EARLIEST = datetime.min.replace(tzinfo=UTC)


class ScheduleView(View):
    """When a source runs by itself."""

    requested_at: AwareDatetime = Field(description="When its last scheduled run was asked for")
    interval_seconds: float | None = Field(description="From one to the next; null while nothing is scheduled")
    next_at: AwareDatetime | None = Field(description="When the next is due; null while nothing is scheduled")


class QuotaWindowView(View):
    """A budget, and what is left of it."""

    limit: int
    left: int


class QuotaView(View):
    """The quota of a source's key, over all producers; counted before each request is sent."""

    minute: QuotaWindowView | None = Field(description="Null where the plan has no limit a minute")
    month: QuotaWindowView | None = Field(description="Null where the plan has no limit a month; months are UTC's")
    blocked_until: AwareDatetime | None = Field(description="The provider's Retry-After, while it lasts")


def schedule_body(mark: ScheduleMark | None) -> dict[str, Any] | None:
    """Return a ScheduleView's content; None for a source that has never run by schedule."""
    if mark is None:
        return None
    interval = mark.interval_seconds
    next_at = None if interval is None else mark.requested_at + timedelta(seconds=interval)
    return {"requested_at": mark.requested_at, "interval_seconds": interval, "next_at": next_at}


def quota_body(usages: Sequence[QuotaUsage], now: datetime) -> dict[str, Any] | None:
    """Return a QuotaView's content; None for a source that has sent no request.

    The limits are those that the owner who sent the last request was told.
    """
    if not usages:
        return None
    newest = max(usages, key=lambda usage: max(usage.recent_requests, default=EARLIEST))
    in_minute = sum(len(usage.within_a_minute(now)) for usage in usages)
    in_month = sum(usage.by_month.get(month_of(now), 0) for usage in usages)
    held = [usage.blocked_until for usage in usages if usage.blocked_until is not None and usage.blocked_until > now]
    return {
        "minute": _window(newest.minute_limit, in_minute),
        "month": _window(newest.month_limit, in_month),
        "blocked_until": max(held, default=None),
    }


def _window(limit: int | None, used: int) -> dict[str, int] | None:
    return None if limit is None else {"limit": limit, "left": max(0, limit - used)}

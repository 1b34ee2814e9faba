"""What every request of ours to somebody else's server needs: the machine's proxy, and how long they ask us to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.request import getproxies, proxy_bypass

from yarl import URL

RETRY_AFTER_FLOOR: Final = timedelta(seconds=1)
LONGEST_RETRY_AFTER_SECONDS: Final = 365 * 86_400
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def proxy_for(url: URL) -> str | None:
    """Return which proxy http_proxy, https_proxy and no_proxy name for this address."""
    host = url.host or ""
    return None if host in LOOPBACK or proxy_bypass(host) else getproxies().get(url.scheme)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return what Retry-After asks for, in seconds or as a date, never below the floor; None when it is absent or unreadable.

    A date is read against the provider's own clock where it tells it.
    """
    asked = headers.get("Retry-After", "").strip()
    if not asked:
        return None
    if asked.isascii() and asked.isdigit():
        return max(RETRY_AFTER_FLOOR, timedelta(seconds=min(int(asked[:9]), LONGEST_RETRY_AFTER_SECONDS)))
    until = _http_date(asked)
    return None if until is None else max(RETRY_AFTER_FLOOR, until - (_http_date(headers.get("Date", "")) or now))


def _http_date(text: str) -> datetime | None:
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)

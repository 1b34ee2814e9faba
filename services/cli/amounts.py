"""Numbers and spans of time as people read them in a column. Pure; None, what nobody tells, is a dash."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

UNKNOWN: Final = "-"
BARS: Final = "▁▂▃▄▅▆▇█"
_MAGNITUDES: Final = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))
_LARGEST_WRITTEN_OUT: Final = Decimal(10) ** 9
_LARGEST_IN_WORDS: Final = Decimal(10) ** 15
_LARGE: Final = 1_000
_LARGE_CHANGE: Final = 100
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def price(usd: Decimal | None) -> str:
    """Return a price with as many digits as tell it apart from its neighbours; six where it is a fraction of a dollar."""
    if usd is None:
        return UNKNOWN
    size = abs(usd)
    if size >= _LARGEST_WRITTEN_OUT:
        return f"{usd:.6e}"
    if size >= _LARGE:
        return f"{usd:,.2f}"
    return f"{usd:.4f}" if size >= 1 else f"{usd:.6g}".lower()


def magnitude(amount: Decimal | None) -> str:
    """Return a large amount with four digits and its thousands in a letter: 1.318 T."""
    if amount is None:
        return UNKNOWN
    if abs(amount) >= _LARGEST_IN_WORDS:
        return f"{amount:.3e}"
    for size, letter in _MAGNITUDES:
        if abs(amount) >= size:
            return f"{_four_digits(amount / size)} {letter}"
    return _four_digits(amount)


def _four_digits(amount: Decimal) -> str:
    whole = len(str(abs(int(amount))))
    return f"{amount:.{max(0, 4 - whole)}f}"


def change(percent: Decimal | None) -> str:
    """Return a change with its sign: +1.43%. It is to be read without colours too."""
    if percent is None:
        return UNKNOWN
    if abs(percent) >= _LARGEST_WRITTEN_OUT:
        return f"{percent:+.1e}%"
    return f"{percent:+,.2f}%" if abs(percent) < _LARGE_CHANGE else f"{percent:+,.0f}%"


def spread(percent: Decimal | None) -> str:
    """Return how far prices lie apart; it has no sign."""
    return UNKNOWN if percent is None else change(abs(percent))[1:]


def span(seconds: float | None) -> str:
    """Return a span of time in its largest unit: 45 s, 4 min, 2 h, 12 d. What has not begun is 0 s."""
    if seconds is None:
        return UNKNOWN
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def count(number: int | None) -> str:
    """Return a count with its thousands apart."""
    return UNKNOWN if number is None else f"{number:,}"


def sparkline(prices: Sequence[Decimal], width: int) -> str:
    """Return the last prices as bars, the lowest of them the shortest; the middle where all are the same."""
    shown = [float(each) for each in prices[-width:]]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    if high <= low:
        return BARS[len(BARS) // 2 - 1] * len(shown)
    return "".join(BARS[round((each - low) / (high - low) * (len(BARS) - 1))] for each in shown)

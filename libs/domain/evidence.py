"""Whether two listings of different sources are the same asset. Weak evidence is none: better two assets than a wrong one."""

import re
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache

from libs.domain.numbers import Number
from libs.domain.quotes import Quote

PRICE_TOLERANCE = Decimal("0.05")
MARKET_CAP_TOLERANCE = Decimal("0.25")
FILLER = frozenset({"token", "coin", "network", "protocol", "chain"})
"""Words that one provider appends and another does not."""

_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_WORD = re.compile(r"[^\W_]+")


class Evidence(IntEnum):
    """How two listings were found to be one asset; larger is better."""

    NONE = 0
    NUMBERS = 1
    NAME = 2
    NAME_AND_NUMBERS = 3


def evidence_between(one: Quote, other: Quote) -> Evidence:
    """Return the evidence that both quotes speak of the same asset.

    A price alone is not evidence: it takes the tokenised share of Daimler for the stablecoin DAI.
    """
    alike, agree = names_alike(one.name, other.name), numbers_agree(one, other)
    return Evidence((Evidence.NAME if alike else 0) | (Evidence.NUMBERS if agree else 0))


def names_alike(one: str, other: str) -> bool:
    """Compare case-folded letters and digits, with brackets and filler words dropped."""
    core = _core_of(one)
    return bool(core) and core == _core_of(other)


def numbers_agree(one: Quote, other: Quote) -> bool:
    """Both prices within 5 % and both market caps within 25 %; an unknown number agrees with nothing."""
    return _within(one.price_usd, other.price_usd, PRICE_TOLERANCE) and _within(
        one.market_cap_usd, other.market_cap_usd, MARKET_CAP_TOLERANCE
    )


@lru_cache(maxsize=50_000)
def _core_of(name: str) -> str:
    words = _WORD.findall(_BRACKETED.sub(" ", name).casefold())
    return "".join(word for word in words if word not in FILLER) or "".join(words)


def _within(one: Number | None, other: Number | None, tolerance: Decimal) -> bool:
    low, high = sorted((Decimal(one or 0), Decimal(other or 0)))
    if low <= 0:
        return False
    return high - low <= tolerance * high

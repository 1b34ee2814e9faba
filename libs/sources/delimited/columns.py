"""Which column of a file holds what: people and exports name the same thing in many words."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

_NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "coin symbol", "ticker symbol", "asset symbol", "token symbol", "currency symbol", "code"),
    "source_id": ("source id", "id", "coin id", "coingecko id", "asset id", "slug"),
    "name": (
        "name",
        "coin name",
        "asset name",
        "token name",
        "cryptocurrency name",
        "coin",
        "asset",
        "token",
        "cryptocurrency",
        "project",
    ),
    "price": ("price", "current price", "last price", "latest price", "close price", "close", "last"),
    "market_cap": ("market cap", "current market cap"),
    "volume": ("volume 24h", "volume", "total volume", "total volume 24h", "trading volume 24h", "trading volume"),
    "circulating_supply": ("circulating supply", "available supply"),
    "total_supply": ("total supply",),
    "max_supply": ("max supply",),
    "rank": ("market cap rank", "rank", "cmc rank", "number"),
    "updated_at": (
        "source updated at",
        "last updated",
        "last updated at",
        "last update",
        "updated at",
        "updated",
        "timestamp",
        "date time",
        "datetime",
        "as of",
        "date",
        "time",
    ),
}
"""Field -> the names it goes by, in words without order, best first. `coin` and `asset` are names: many files put
"Bitcoin" there, so a file whose only hint is such a column has no symbol column. `currency` is neither: it often says USD."""

_CHANGES = tuple(
    (f"percent_change_{period}", period, words)
    for period in ("1h", "24h", "7d")
    for words in (
        ("percent", "change"),
        ("percent", "change", "price"),
        ("percent", "change", "price", "currency"),
        ("percent", "price"),
        ("percent",),
        ("change",),
        (),
    )
)
"""The last two say no unit, so their cells count only with a percent sign. `price change 24h` is not among them: that is
CoinGecko's change in dollars."""

_FILLER = frozenset({"usd", "us", "dollar", "dollars", "in", "of", "the", "utc", "gmt", "crypto"})
_SYNONYMS = {
    "percentage": "percent",
    "pct": "percent",
    "perc": "percent",
    "chg": "change",
    "changes": "change",
    "vol": "volume",
    "mkt": "market",
    "capitalization": "cap",
    "capitalisation": "cap",
    "marketcap": "market cap",
    "mcap": "market cap",
    "lastupdated": "last updated",
    "updatedat": "updated at",
    "currentprice": "current price",
    "circ": "circulating",
    "maximum": "max",
    "1d": "24h",
    "24hr": "24h",
    "24hrs": "24h",
    "day": "24h",
    "daily": "24h",
    "1hr": "1h",
    "hour": "1h",
    "hourly": "1h",
    "60m": "1h",
    "7day": "7d",
    "7days": "7d",
    "1w": "7d",
    "week": "7d",
    "weekly": "7d",
}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z0-9])")
_SPLIT_PERIOD = re.compile(r"\b(\d+) (hrs?|h|hours?|days?|d|w)\b")
_PERIODS = {"hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d"}
_REPEATED = re.compile(r" \(\d+\)$")
_WORD = re.compile(r"[^\W_]+")


def unique_columns(header: list[str]) -> tuple[str, ...]:
    """Return the header's names, each once: an empty one gets its place, a repeated one its count, as in `Price (2)`."""
    columns: list[str] = []
    for place, cell in enumerate(header, start=1):
        name = " ".join(cell.split()) or f"column {place}"
        count, unique = 1, name
        while unique in columns:
            count += 1
            unique = f"{name} ({count})"
        columns.append(unique)
    return tuple(columns)


@lru_cache(maxsize=256)
def fields_of(columns: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Return field -> the columns that hold it: those with its best name, more than one only if the file repeats it."""
    named: dict[str, dict[int, list[str]]] = {}
    for column in columns:
        found = _BY_WORDS.get(_words(column))
        if found:
            field, preference = found
            named.setdefault(field, {}).setdefault(preference, []).append(column)
    return MappingProxyType({field: tuple(by[min(by)]) for field, by in named.items()})


@lru_cache(maxsize=1_024)
def says_percent(column: str) -> bool:
    """Whether the header itself says that its numbers are per cent."""
    return "percent" in _words(column)


def _words(column: str) -> frozenset[str]:
    """Return the words that tell what a column holds, in one spelling. An euro is no filler: `Price (EUR)` is no price here."""
    plain = _REPEATED.sub("", column).strip()
    if plain == "#":
        return frozenset({"number"})
    spaced = _CAMEL.sub(" ", plain.replace("%", " percent ").replace("$", " usd "))
    together = " ".join(_WORD.findall(spaced)).casefold()
    together = _SPLIT_PERIOD.sub(lambda period: period[1] + _PERIODS.get(period[2], period[2]), together)
    spelled = " ".join(_SYNONYMS.get(word, word) for word in together.split())
    return frozenset(spelled.split()) - _FILLER


def _by_words() -> Mapping[frozenset[str], tuple[str, int]]:
    known = {
        frozenset(name.split()): (field, preference) for field, names in _NAMES.items() for preference, name in enumerate(names)
    }
    changes = {frozenset({period, *words}): (field, place) for place, (field, period, words) in enumerate(_CHANGES)}
    return MappingProxyType(known | changes)


_BY_WORDS = _by_words()

"""Names and symbols of the coins that no one has heard of, untidy where the providers' are."""

import re
from pathlib import Path

_FIRST, _SECOND = (line.split() for line in Path(__file__).with_name("name_words.txt").read_text(encoding="utf-8").splitlines())

WEIRD_SYMBOLS = (
    "$ROPE", "A/B", "🚀", "O'X", '"Q"', "X Y", "<B>", "APE$", "POP!", "ß", "50%", "X&Y", "#1", "?", "G-Fi", "BRK.A10", " PAD ",
    "ΔΣ", "İX", "a+b", "C\\D", "日本", "1", "x;--", "@ME", "👩‍🚀", "É",
)  # fmt: skip
"""Seen at the providers, or bound to be: what breaks URLs, HTML, shells, SQL and case folding."""

_ODD_SPELLINGS = ('"{0}" {1}', "{0} & {1}'s", "{0} <i>{1}</i>", "{0} {1} 🦦", "{0}\\{1}", "Ünï {0} {1}")
_CHANGED_AT_COINPAPRIKA = (
    (5, 1, "{0} {1} Token"),
    (7, 2, "{0} {1} Protocol"),
    (11, 3, "{0} {1} (New)"),
    (19, 4, "{1} of {0}"),  # the one that only numbers can link
)


def one_in(every: int, index: int, *, at: int) -> bool:
    """Whether an index is the one of so many that is treated apart."""
    return index % every == at


def words_of(index: int) -> tuple[str, str]:
    """Return two words that no other index has together."""
    cycle, place = divmod(index, len(_FIRST) * len(_SECOND))
    row, column = divmod(place, len(_FIRST))
    first, second = _FIRST[column * 7 % len(_FIRST)], _SECOND[(row + column * 5) % len(_SECOND)]
    return first, f"{second} {cycle + 1}" if cycle else second


def names_of(index: int) -> tuple[str, str]:
    """Return what CoinGecko and what CoinPaprika call it."""
    first, second = words_of(index)
    if one_in(97, index, at=11):
        odd = _ODD_SPELLINGS[index // 97 % len(_ODD_SPELLINGS)].format(first, second)
        return odd, odd
    for every, at, spelling in _CHANGED_AT_COINPAPRIKA:
        if one_in(every, index, at=at):
            return f"{first} {second}", spelling.format(first, second)
    return f"{first} {second}", f"{first} {second}"


def symbol_of(index: int, taken: tuple[str, ...]) -> str:
    """Return its symbol in CoinPaprika's case. `taken` are symbols of well-known coins, which one in 29 imitates."""
    if one_in(29, index, at=3):
        return taken[index // 29 % len(taken)]
    if one_in(37, index, at=5):
        return WEIRD_SYMBOLS[index // 37 % len(WEIRD_SYMBOLS)]
    first, second = words_of(index)
    letters = first[: 2 + index % 3] + second[: 2 + index // 3 % 3]
    if " " in second:
        letters += second.rsplit(" ", 1)[1]
    return "w" + letters.upper() if one_in(31, index, at=7) else letters.upper()


def slug_of(text: str) -> str:
    """Return what a provider makes of it in an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"

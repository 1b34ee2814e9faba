"""Text from elsewhere as a terminal may have it: providers send symbols and names, and a terminal takes orders in text.

What is no letter, digit, mark or blank (escape sequences, line ends, what turns the reading direction) is spelt out.
"""

from typing import Final

LAID_OUT: Final = frozenset("\n\t")
"""Of the characters that are no letters, those that a terminal may take as they are."""


def on_one_line(text: str) -> str:
    """Return the text with everything spelt out that is not printed as itself, line ends too."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else _spelt(letter) for letter in text)


def on_lines(text: str) -> str:
    """Return the text, of several lines perhaps, with everything spelt out but line ends and tabs."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in LAID_OUT else _spelt(letter) for letter in text)


def _spelt(letter: str) -> str:
    return repr(letter)[1:-1]

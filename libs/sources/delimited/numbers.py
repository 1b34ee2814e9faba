"""Numbers as people and spreadsheets write them. What can be read in two ways is refused, not guessed."""

import re
from decimal import Decimal, InvalidOperation

from libs.domain.rejections import Reason, Rejection

LONGEST_CELL = 400
"""Characters of a number."""

_MISSING = frozenset(
    {"", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", "n/a", "na", "#n/a", "nan", "null", "none", "nil", "?", "\N{INFINITY}"}
)
"""What stands for "not known"; the infinity sign is how a list shows that a coin has no largest supply."""
_EXPONENTS = {
    "": 0,
    "k": 3,
    "thousand": 3,
    "m": 6,
    "mn": 6,
    "mln": 6,
    "million": 6,
    "b": 9,
    "bn": 9,
    "bln": 9,
    "billion": 9,
    "t": 12,
    "tn": 12,
    "trn": 12,
    "trillion": 12,
}
_WRITTEN = re.compile(
    r"""(?P<sign>[-+]?) [ ]? (?:usd|us\$|\$)? [ ]? (?P<inner>[-+]?)
        (?P<digits>[0-9.,](?:[ '_]?[0-9.,])*+) (?P<exponent>e[-+]?[0-9]{1,4})?
        [ ]? (?P<unit>thousand|million|billion|trillion|mln|mn|bln|bn|trn|tn|[kmbt])?
        [ ]? (?:usd|us\$|\$)? [ ]? (?P<percent>%?)""",
    re.VERBOSE,
)
_SPACES = str.maketrans(dict.fromkeys("\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}", " ") | {"\N{MINUS SIGN}": "-"})
_TIDY = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
"""Most cells of most files; they need no second look."""
_PLAIN = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_COMMA_DECIMAL = re.compile(r"0*,[0-9]+|[0-9]+,([0-9]{1,2}|[0-9]{4,})|[0-9]{4,},[0-9]+")
_COMMA_GROUPS = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3}){2,}|[1-9][0-9]{0,2}(,[0-9]{3})+\.[0-9]+")
_POINT_GROUPS = re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{3}){2,}|[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]+")
_OTHER_GROUPS = re.compile(r"[1-9][0-9]{0,2}([ '_][0-9]{3})+([.,][0-9]+)?")
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[,.][0-9]{3}")
_POINT_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


def is_missing(cell: str) -> bool:
    """Whether the cell says that there is no number."""
    return cell.strip().casefold() in _MISSING


def uses_decimal_comma(cell: str) -> bool:
    """Whether the cell can only be read with a comma as decimal mark or a point between thousands."""
    if "," not in cell and cell.count(".") <= 1:
        return False  # most cells, and a pattern is slow
    written = _WRITTEN.fullmatch(_plain(cell))
    digits = written["digits"] if written else ""
    if _POINT_GROUPS.fullmatch(digits) or _COMMA_DECIMAL.fullmatch(digits):
        return True
    return "," in digits and _OTHER_GROUPS.fullmatch(digits) is not None


def number_of(column: str, cell: str, *, percent: bool = False, beside_decimal_comma: bool = False) -> Decimal | Rejection | None:
    """Read a cell; None where it says that it does not know. `percent` allows a percent sign: 4.2% is 4.2.

    "67,685.77", "1,234,567", "1.234.567,89", "1 234.5", "0,5", "$1.33T", "(1.74%)" (negative, as accountants write it) and
    "3.84e-18" have one reading. "1,234" has two, so it is refused with the way to write it; so is "1.234" beside a cell
    that uses the decimal comma.
    """
    if _TIDY.fullmatch(cell) and not beside_decimal_comma:
        return Decimal(cell)
    if is_missing(cell):
        return None
    text = _plain(cell)
    bracketed = cell.strip().startswith("(") and cell.strip().endswith(")")
    written = _WRITTEN.fullmatch(text)
    signs = "(" * bracketed + (written["sign"] + written["inner"] if written else "")
    if written is None or len(signs) > 1 or (written["percent"] and not percent):
        return _unreadable(column, cell, "is not a number")
    digits = _digits(written["digits"])
    if digits is None or (beside_decimal_comma and _POINT_AMBIGUOUS.fullmatch(digits)):
        return _unreadable(column, cell, _advice(written["digits"]))
    return _value(column, cell, digits + (written["exponent"] or ""), written["unit"] or "", negative=signs in {"(", "-"})


def _plain(cell: str) -> str:
    """Return the text in one spelling: no brackets, plain spaces one at a time, lower case."""
    text = " ".join(cell[: LONGEST_CELL + 1].translate(_SPACES).split()).casefold()
    if len(text) > LONGEST_CELL:
        return ""
    return text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text


def _digits(written: str) -> str | None:
    """Return the digits with a point as decimal mark and no groups; None when there is not exactly one reading."""
    if _PLAIN.fullmatch(written):
        return written
    if _COMMA_GROUPS.fullmatch(written):
        return written.replace(",", "")
    if _POINT_GROUPS.fullmatch(written):
        return written.replace(".", "").replace(",", ".")
    if _OTHER_GROUPS.fullmatch(written):
        return re.sub(r"[ '_]", "", written).replace(",", ".")
    if _COMMA_DECIMAL.fullmatch(written):
        return written.replace(",", ".")
    return None


def _advice(written: str) -> str:
    if _AMBIGUOUS.fullmatch(written):
        whole, fraction = re.split("[,.]", written)
        return f"can be read as {whole}{fraction} or as {whole}.{fraction}0: write the one that is meant"
    return "has its separators in places where no number has them"


def _value(column: str, cell: str, digits: str, unit: str, *, negative: bool) -> Decimal | Rejection:
    try:
        number = Decimal(("-" if negative else "") + digits)
    except InvalidOperation:
        return _unreadable(column, cell, "is not a number")
    sign, figures, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return _unreadable(column, cell, "is not a number")
    # Moving the exponent keeps every digit; a multiplication would round to the context's 28.
    return Decimal((sign, figures, exponent + _EXPONENTS[unit])) if unit else number


def _unreadable(column: str, cell: str, why: str) -> Rejection:
    return Rejection(Reason.UNREADABLE_NUMBER, f"{column!r}: {cell[:80]!r} {why}")

"""How each provider writes its numbers, times and strings: a consumer that keeps digits must meet the real spellings."""

import json
from datetime import UTC, datetime
from decimal import Decimal

_HTML_SAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})

_GO_WRITES_OUT = (1e-6, 1e21)
_RUBY_SHORTENS_FROM, _PYTHON_SHORTENS_FROM = 1e15, 1e16
_NO_DECIMALS_FROM = 10_000


def text(value: str) -> str:
    """Both providers escape what HTML would read, and leave other letters as they are."""
    return json.dumps(value, ensure_ascii=False).translate(_HTML_SAFE)


def go_number(value: float, digits: int = 14) -> str:
    """CoinPaprika: whole numbers bare, no exponent down to a millionth, then one without padding (`3.84e-18`)."""
    written = f"{value:.{digits}g}"
    mantissa, _, exponent = written.partition("e")
    if exponent:
        return f"{Decimal(written):f}" if _GO_WRITES_OUT[0] <= abs(value) < _GO_WRITES_OUT[1] else f"{mantissa}e{int(exponent)}"
    return "0" if written == "-0" else written


def go_percent(value: float) -> str:
    """Two decimals at most: `7.6`, `-4`, `0`."""
    return go_number(round(value, 2))


def ruby_float(value: float | None) -> str:
    """CoinGecko: always a float (`21000000.0`), exponents padded to two digits, from 1e15 on and below a ten-thousandth."""
    if value is None:
        return "null"
    if _RUBY_SHORTENS_FROM <= abs(value) < _PYTHON_SHORTENS_FROM:
        return f"{Decimal(repr(value)).normalize():e}"
    return repr(value)


def ruby_price(value: float) -> str:
    """CoinGecko: no decimals from ten thousand on, two from 1 on, six significant digits below."""
    if value >= _NO_DECIMALS_FROM:
        return str(round(value))
    return ruby_float(round(value, 2) if value >= 1 else float(f"{value:.6g}"))


def whole_seconds(at: float) -> str:
    """CoinPaprika's times."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def milliseconds(at: float) -> str:
    """CoinGecko's times."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"

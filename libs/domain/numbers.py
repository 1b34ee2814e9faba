"""A number as its digits, in the one notation that JSON, Kafka and Postgres share: who only passes it on need not read it."""

from decimal import Decimal
from typing import NewType

Number = NewType("Number", str)
"""A finite decimal in plain notation: `-12.50`, never `1E+3` or `-0`. Every digit as sent, zeros behind the point among them.

Two that are equal as text are equal; to compare or to reckon, make a Decimal of it.
"""


def number_of(value: Decimal | int | str) -> Number:
    """Write a finite number so."""
    plain = format(Decimal(value), "f")
    return Number(plain if not plain.startswith("-") or plain.strip("-0.") else plain[1:])

"""Why a record can never be used. A closed set: each reason is a metric label and a dead-letter error class."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What is wrong with a record; the value is stable and public (headers, metrics, HTTP)."""

    UNDECODABLE = "undecodable"
    MISSING_SYMBOL = "missing_symbol"
    SYMBOL_TOO_LONG = "symbol_too_long"
    MISSING_SOURCE_ID = "missing_source_id"
    IDENTITY_MISMATCH = "identity_mismatch"
    UNREADABLE_TIME = "unreadable_time"
    TIME_IN_FUTURE = "time_in_future"
    UNREADABLE_NUMBER = "unreadable_number"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    NUL_CHARACTER = "nul_character"
    WRONG_SHAPE = "wrong_shape"
    REFUSED_BY_DATABASE = "refused_by_database"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record set aside: `detail` is for a person and names the field and what it held."""

    reason: Reason
    detail: str

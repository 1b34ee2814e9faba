"""Faults that a test orders in advance: which requests they meet, and how often, is bounded and exact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.sandbox.faults.drift import DriftKind
from services.sandbox.faults.poison import PoisonKind

Provider = Literal["coingecko", "coinpaprika", "binance"]


class FaultKind(StrEnum):
    """What goes wrong. The first group answers in the provider's place, the second spoils its answer."""

    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_HTML = "rate_limited_html"
    PAYMENT_REQUIRED = "payment_required"
    SERVER_ERROR = "server_error"
    HALF_THE_PAGES = "half_the_pages"
    RESET = "reset"

    SLOW = "slow"
    TRUNCATED = "truncated"
    CUT_JSON = "cut_json"
    WRONG_SHAPE = "wrong_shape"
    ROWS_OF_STRINGS = "rows_of_strings"
    EMPTY = "empty"
    HALF_THE_ROWS = "half_the_rows"
    DUPLICATE_ROWS = "duplicate_rows"
    POISON = "poison"
    DRIFT = "drift"


class Fault(BaseModel):
    """One order: the next `count` matching requests, after the first `after` of them, meet this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    provider: Provider | None = Field(None, description="Whose requests; everybody's when left out")
    page: int | None = Field(None, description="Only this page", ge=1)
    after: int = Field(0, description="Matching requests that are let through first", ge=0)
    count: int = Field(1, description="Requests that meet it", ge=1, le=100_000)
    retry_after_seconds: int | None = Field(2, description="Of the two 429s; null leaves the header out", ge=0)
    retry_after_form: Literal["seconds", "date"] = "seconds"
    status: int = Field(500, description="Of server_error and half_the_pages", ge=500, le=599)
    seconds: float = Field(5.0, description="How long slow waits before it answers", ge=0, le=600)
    poison: tuple[PoisonKind, ...] = Field(tuple(PoisonKind), description="Rows that poison adds, each once; all when left out")

    drift: tuple[DriftKind, ...] = Field(tuple(DriftKind), description="What drift does to every row; all when left out")

    def meets(self, provider: Provider, page: int | None) -> bool:
        """Whether a request is one of those it was ordered for."""
        if self.kind is FaultKind.HALF_THE_PAGES and (page is None or page % 2):
            return False
        return self.provider in {None, provider} and self.page in {None, page}


FAULTS: TypeAdapter[tuple[Fault, ...]] = TypeAdapter(tuple[Fault, ...])


@dataclass(slots=True)
class _Order:
    fault: Fault
    seen: int = 0

    @property
    def left(self) -> int:
        return self.fault.count - max(0, self.seen - self.fault.after)


class FaultPlan:
    """The orders that are not used up, oldest first. A request meets one fault at most."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._orders = [_Order(fault) for fault in faults]

    def add(self, faults: Iterable[Fault]) -> None:
        """Order more."""
        self._orders.extend(_Order(fault) for fault in faults)

    def clear(self) -> None:
        """Be well behaved again."""
        self._orders.clear()

    def take(self, provider: Provider, page: int | None) -> Fault | None:
        """Return what a request meets, and count it. Later orders do not see a request that an earlier one took."""
        for order in self._orders:
            if not order.fault.meets(provider, page):
                continue
            order.seen += 1
            if order.seen > order.fault.after:
                self._orders = [kept for kept in self._orders if kept.left > 0]
                return order.fault
        return None

    def left(self) -> Sequence[tuple[Fault, int]]:
        """Return each order with how many requests it still waits for."""
        return [(order.fault, order.left) for order in self._orders]

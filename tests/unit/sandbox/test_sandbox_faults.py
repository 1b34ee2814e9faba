"""Ordered faults meet exactly the requests they were ordered for."""

import json

import pytest
from pydantic import ValidationError

from services.sandbox.faults.plan import FAULTS, Fault, FaultKind, FaultPlan
from services.sandbox.faults.poison import PoisonKind, poisoned

ROWS = [json.dumps({"id": f"coin-{place}", "symbol": "c", "name": "Coin", "current_price": 1.5}) for place in range(40)]


def test_a_fault_meets_as_many_requests_as_ordered_after_those_let_through() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.RESET, after=1, count=2)])
    assert [plan.take("coingecko", 1) is not None for _ in range(5)] == [False, True, True, False, False]
    assert plan.left() == []


def test_a_fault_of_one_provider_or_page_leaves_the_others_alone() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.EMPTY, provider="coingecko", page=2)])
    assert plan.take("coinpaprika", None) is None
    assert plan.take("coingecko", 1) is None
    assert plan.take("coingecko", 2) is not None


def test_half_the_pages_fails_the_even_ones() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.HALF_THE_PAGES, count=10)])
    assert [plan.take("coingecko", page) is not None for page in range(1, 5)] == [False, True, False, True]


def test_faults_are_met_in_the_order_they_were_given() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.RESET), Fault(kind=FaultKind.EMPTY)])
    taken = [plan.take("coinpaprika", None) for _ in range(2)]
    assert [fault.kind for fault in taken if fault] == [FaultKind.RESET, FaultKind.EMPTY]


@pytest.mark.parametrize("order", ['[{"kind":"boom"}]', '[{"kind":"reset","count":0}]', '[{"kind":"reset","cuont":2}]'])
def test_an_order_that_cannot_be_read_is_refused(order: str) -> None:
    with pytest.raises(ValidationError):
        FAULTS.validate_json(order)


def test_poison_is_added_and_the_other_rows_stay_as_they_were() -> None:
    spoilt = poisoned(ROWS, PoisonKind)
    assert [row for row in spoilt if row in ROWS] == ROWS
    assert len(spoilt) == len(ROWS) + len(PoisonKind)


def test_poison_leaves_the_answer_readable_as_json() -> None:
    for rows in (ROWS, []):
        body = f"[{','.join(poisoned(rows, PoisonKind))}]"
        assert len(json.loads(body, parse_int=str, parse_float=str)) == len(rows) + len(PoisonKind)

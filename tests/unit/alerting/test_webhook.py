"""How a webhook's answers are read."""

from datetime import UTC, datetime

import pytest

from libs.alerting.webhook import Outcome, delivery_of

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (302, Outcome.LATER),
        (400, Outcome.REFUSED),
        (403, Outcome.LATER),
        (404, Outcome.LATER),
        (410, Outcome.LATER),
        (413, Outcome.REFUSED),
        (429, Outcome.LATER),
        (500, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
def test_only_what_is_the_messages_fault_is_given_up(status: int, outcome: Outcome) -> None:
    assert delivery_of(status, "said", None, NOON).outcome is outcome


def test_what_was_asked_for_is_waited_for_and_what_was_said_is_kept() -> None:
    delivery = delivery_of(429, "rate_limited\n", "30", NOON)
    assert (delivery.wait_seconds, delivery.why) == (30.0, "it answered 429: rate_limited")
    assert delivery_of(429, "", "Sun, 29 Nov 2026 12:01:00 GMT", NOON).wait_seconds == 60.0
    assert delivery_of(500, "", "soon", NOON).wait_seconds == 0.0

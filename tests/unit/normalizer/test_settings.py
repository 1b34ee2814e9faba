"""What the normalizer's settings refuse."""

import pytest
from pydantic import ValidationError

from services.normalizer.settings import NormalizerSettings

GIVEN = {"kafka_bootstrap_servers": "b:1", "database_url": "postgresql://u:p@h/d"}


@pytest.mark.parametrize("days", [1, 7, 8])
def test_raw_rows_outlive_the_ticks_in_the_topics(days: int) -> None:
    with pytest.raises(ValidationError, match="a replay would store again"):
        NormalizerSettings(**GIVEN, raw_retention_days=days)  # type: ignore[arg-type] # as text, which pydantic reads


def test_0_days_is_for_ever() -> None:
    assert NormalizerSettings(**GIVEN, raw_retention_days=0).keeping.raw is None  # type: ignore[arg-type] # the same


def test_ticks_outlive_whatever_brings_them_again() -> None:
    assert NormalizerSettings(**GIVEN, history_retention_days=41).keeping.ticks.days == 41  # type: ignore[arg-type] # the same
    with pytest.raises(ValidationError, match="greater than or equal to 41"):
        NormalizerSettings(**GIVEN, history_retention_days=40)  # type: ignore[arg-type] # the same

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.rejections import Reason, Rejection
from libs.sources.delimited.times import cell_time


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2025-06-30", datetime(2025, 6, 30, tzinfo=UTC)),
        ("20250630", datetime(2025, 6, 30, tzinfo=UTC)),
        ("2025/6/3 12:00", datetime(2025, 6, 3, 12, tzinfo=UTC)),
        ("2025-06-30 12:00:05", datetime(2025, 6, 30, 12, 0, 5, tzinfo=UTC)),
        ("2025-06-30T12:00:00Z", datetime(2025, 6, 30, 12, tzinfo=UTC)),
        ("2025-06-30 12:00:00 UTC", datetime(2025, 6, 30, 12, tzinfo=UTC)),
        ("2025-06-30 12:00:00 +0200", datetime(2025, 6, 30, 10, tzinfo=UTC)),
        ("1751284800", datetime(2025, 6, 30, 12, tzinfo=UTC)),
        ("1751284800.25", datetime(2025, 6, 30, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("1751284800123", datetime(2025, 6, 30, 12, 0, 0, 123_000, tzinfo=UTC)),
        ("1751284800123456", datetime(2025, 6, 30, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("Jun 30, 2025", datetime(2025, 6, 30, tzinfo=UTC)),
        ("30-Jun-2025", datetime(2025, 6, 30, tzinfo=UTC)),
        ("June 30, 2025 at 1:05 PM", datetime(2025, 6, 30, 13, 5, tzinfo=UTC)),
        ("Mon, 30 Jun 2025 12:00:00 GMT", datetime(2025, 6, 30, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc_unless_they_say_otherwise(cell: str, time: datetime) -> None:
    read = cell_time("Date", cell)
    assert read == time
    assert isinstance(read, datetime)
    assert read.tzinfo is UTC


@pytest.mark.parametrize("cell", ["06/07/2025", "30/06/2025", "6-7-25", "06.07.2025 12:00"])
def test_a_date_with_two_readings_is_refused_with_the_way_to_write_it(cell: str) -> None:
    refused = cell_time("Date", cell)
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.UNREADABLE_TIME
    assert "which number is the month" in refused.detail


@pytest.mark.parametrize(
    "cell", ["45838", "1.75E+12", "12:00", "now", "Junk 3, 2025", "Feb 30, 2025", "13:00 PM Jun 1, 2025", "Jun 1, 2025 13:00 PM"]
)
def test_what_is_no_time_names_its_column(cell: str) -> None:
    refused = cell_time("Date", cell)
    assert isinstance(refused, Rejection)
    assert "'Date'" in refused.detail


@given(st.text(st.sampled_from("0123456789-/:.TZ+ ,JunepPMm"), max_size=40))
def test_no_cell_raises(cell: str) -> None:
    read = cell_time("Date", cell)
    assert isinstance(read, Rejection) or read.tzinfo is UTC


@given(st.datetimes(datetime(2009, 1, 2), datetime(2100, 1, 1)))  # noqa: DTZ001 - naive on purpose: files have naive times
def test_iso_times_come_back(naive: datetime) -> None:
    assert cell_time("Date", naive.isoformat()) == cell_time("Date", naive.isoformat(" ") + " UTC") == naive.replace(tzinfo=UTC)

"""What is reckoned on paper, and the measured constants that it is reckoned with."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from benchmarks.constants import per_tick_and_chunk
from benchmarks.meters import Wal, read_waldump
from benchmarks.simulation.__main__ import main
from benchmarks.simulation.constants import BATCHES, Constants
from benchmarks.simulation.sizing import Plan, image_share, kafka_bytes, postgres_cores, size, wal_bytes

MEASURED = Constants()
WALDUMP = """\
Type                                           N      (%)          Record size      (%)             FPI size      (%)        Combined size      (%)
----                                           -      ---          -----------      ---             --------      ---        -------------      ---
Heap                                        1600 ( 40.00)               300000 ( 75.00)                 8000 (  8.00)               308000 ( 61.60)
Btree                                       2400 ( 60.00)               100000 ( 25.00)                92000 ( 92.00)               192000 ( 38.40)
                                        --------                      --------                      --------                      --------
Total                                       4000                        400000 [80.00%]               100000 [20.00%]               500000 [100%]
"""  # noqa: E501 - as it is printed


@given(st.floats(1, 1e9), st.floats(1, 1e9))
def test_images_are_a_share_of_the_ticks_and_no_more_than_there_are_pages(pages: float, ticks: float) -> None:
    share = image_share(pages, ticks)
    assert 0 <= share <= min(1.0, pages / ticks) + 1e-9


@given(st.integers(1_000, 10_000_000), st.integers(2, 10))
def test_what_is_needed_grows_with_the_load(listings: int, times: int) -> None:
    small, large = (Plan(count, partitions=48) for count in (listings, listings * times))
    assert postgres_cores(large, MEASURED) == pytest.approx(times * postgres_cores(small, MEASURED))
    assert sum(kafka_bytes(large, MEASURED)) == pytest.approx(times * sum(kafka_bytes(small, MEASURED)))


def test_raw_tables_of_an_hour_write_fewer_images_and_none_at_all_fewer_still() -> None:
    plan = Plan(1_000_000)
    month, hour, none = (wal_bytes(replace(plan, raw_table_days=days), MEASURED) for days in (None, 1 / 24, 0))
    assert month > hour > MEASURED.wal_record_bytes_per_tick > none


def test_more_partitions_make_smaller_batches_and_more_bytes_and_larger_pages_undo_that() -> None:
    few, many, large = Plan(10**6), Plan(10**6, partitions=192), Plan(10**6, partitions=192, page_rows=20_000)
    assert few.records_a_batch > 10 * many.records_a_batch
    assert kafka_bytes(many, MEASURED)[0] > 2 * kafka_bytes(few, MEASURED)[0]
    assert kafka_bytes(large, MEASURED)[0] < 1.1 * kafka_bytes(few, MEASURED)[0]


def test_sizes_between_the_measured_ones_go_through_the_measured_ones() -> None:
    assert MEASURED.topic_bytes(BATCHES[16]) == pytest.approx(MEASURED.topic_bytes_per_tick_16)
    assert MEASURED.topic_bytes(BATCHES[250]) == pytest.approx(MEASURED.topic_bytes_per_tick_250)
    assert MEASURED.broker_us_sent(BATCHES[20_000]) == pytest.approx(MEASURED.broker_us_per_sent_20000)


@given(st.floats(0, 500), st.floats(0, 50_000), st.floats(10, 400), st.floats(500, 5_000))
def test_two_sizes_of_chunks_tell_what_a_chunk_and_a_tick_cost(each: float, chunk: float, small: float, large: float) -> None:
    found = per_tick_and_chunk((each + chunk / small, small), (each + chunk / large, large))
    assert found == pytest.approx((each, chunk), abs=1e-3)


def test_the_log_is_added_up_as_pg_waldump_prints_it() -> None:
    assert read_waldump(WALDUMP.splitlines()) == Wal(total=500_000, images=100_000, indexes=100_000)


def test_what_was_measured_again_takes_the_place_of_what_is_written_down() -> None:
    assert Constants.read("| constant | value |\n|---|---|\n| main_us_per_chunk | 1,234.5 |\n| other | 1 |") == replace(
        MEASURED, main_us_per_chunk=1_234.5
    )
    with pytest.raises(ValueError, match="no constants"):
        Constants.read("nothing")


def test_each_line_of_a_plan_is_a_number() -> None:
    assert all(line.amount >= 0 for line in size(Plan(5_000), MEASURED))


@pytest.mark.parametrize("arguments", [("--listings", "3000", "--seconds", "2"), ("--validate",)])
def test_the_command_answers_in_tables_and_for_scripts(arguments: tuple[str, ...]) -> None:
    app = Typer()
    app.command()(main)
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "|---|" in shown.output
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)

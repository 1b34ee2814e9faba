"""The simulated normalizer: what must hold whatever the constants are."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.pipeline import AHEAD, LANES, LEAST_SHARE, POLL_SECONDS, PUBLISHING, READING, STORING
from benchmarks.simulation.scenario import Deployment, Scenario, ranges, simulate
from libs.streaming import transport
from services.normalizer import ticks

MEASURED = Constants()
SCENARIOS = st.builds(
    Scenario,
    listings=st.integers(1, 30_000),
    every_seconds=st.sampled_from([0.1, 0.5, 1.0]),
    partitions=st.integers(1, 12),
    replicas=st.integers(1, 6),
    postgreses=st.just(1),
    postgres_cores=st.integers(1, 4),
    producers=st.integers(1, 10),
    seconds=st.just(2.0),
    chunk_records=st.sampled_from([50, 1_000, 5_000]),
    seed=st.integers(0, 100),
)


def test_the_rules_are_those_of_the_normalizer() -> None:
    """They are not imported from there: a simulation that needs Faust is none that one starts for a question."""
    assert (LANES, AHEAD, LEAST_SHARE) == (ticks.LANES, transport.AHEAD, transport.LEAST_SHARE)


def test_without_load_the_lag_is_the_service_time() -> None:
    outcome = simulate(Scenario(listings=1, every_seconds=0.5, seconds=20), MEASURED)
    a_tick, a_transaction = MEASURED.main_us_per_tick, MEASURED.main_us_per_chunk
    worked = (READING + STORING) * a_tick + STORING / (STORING + PUBLISHING) * a_transaction + MEASURED.us("postgres", 1)
    written = 1e3 * MEASURED.wal_record_bytes_per_tick / MEASURED.wal_bytes_per_second
    service_ms = worked / 1e3 + written + MEASURED.commit_ms
    assert service_ms <= outcome.lag_p50_ms <= outcome.lag_p99_ms <= service_ms + 1e3 * POLL_SECONDS + 1e-6


@given(SCENARIOS)
@settings(max_examples=25)
def test_nothing_is_applied_faster_than_it_can_be_and_nothing_is_lost(scenario: Scenario) -> None:
    deployment = Deployment(scenario, MEASURED)
    outcome = deployment.run()
    applied = sum(seen.ticks for seen in deployment.committed)
    fetched = deployment.sent - sum(partition.ticks for partition in deployment.partitions)
    assert 0 <= sum(seen.ticks for seen in deployment.published) <= applied <= fetched
    assert applied + outcome.waiting_ticks == deployment.sent
    by_threads = len(deployment.replicas) / (1e-6 * MEASURED.main_us_per_tick * (READING + STORING))
    by_postgres = scenario.postgres_cores / (1e-6 * MEASURED.postgres_us_per_tick)
    assert applied <= scenario.seconds * min(by_threads, by_postgres)
    assert all(busy <= 1 + 1e-9 for busy in (outcome.thread_busy, outcome.postgres_busy, outcome.wal_busy))


@given(SCENARIOS)
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_history(scenario: Scenario) -> None:
    first, second = Deployment(scenario, MEASURED), Deployment(scenario, MEASURED)
    first.run(), second.run()
    assert (first.committed, first.published) == (second.committed, second.published)


def test_more_replicas_apply_a_backlog_sooner_until_postgres_is_full() -> None:
    scenario = Scenario(listings=200_000, at_once=True, partitions=32, postgres_cores=4, seconds=60)
    speeds = [simulate(replace(scenario, replicas=count), MEASURED).applied_per_second for count in (1, 2, 4, 16)]
    full = 4e6 / MEASURED.postgres_us_per_tick
    assert speeds == sorted(speeds)
    assert speeds[1] > 1.8 * speeds[0]
    assert 0.75 * full < speeds[3] < full


def test_a_load_beyond_the_thread_falls_behind_and_one_below_holds() -> None:
    full = 1e6 / MEASURED.main_us_per_tick
    scenario = Scenario(listings=round(1.5 * full), replicas=1, producers=10, partitions=6, seconds=8)
    assert simulate(scenario, MEASURED).verdict == "falls behind"
    assert simulate(replace(scenario, listings=round(full / 3)), MEASURED).verdict == "holds"


def test_a_replica_with_one_partition_uses_one_lane() -> None:
    scenario = Scenario(listings=100_000, at_once=True, replicas=1, seconds=60)
    one, two = (simulate(replace(scenario, partitions=count), MEASURED).applied_per_second for count in (1, 2))
    assert two > 1.2 * one


@given(st.integers(1, 200), st.integers(1, 250))
def test_partitions_are_divided_in_ranges(partitions: int, replicas: int) -> None:
    found = ranges(partitions, replicas)
    assert [number for one in found for number in one] == list(range(partitions))
    assert len(found) == min(partitions, replicas)
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("every", [0.2, 1.0])
def test_a_poll_that_takes_longer_than_its_interval_offers_less(every: float) -> None:
    scenario = Scenario(listings=20_000, every_seconds=every, producers=1, replicas=6, seconds=6)
    deployment = Deployment(scenario, MEASURED)
    outcome = deployment.run()
    assert outcome.sent_per_second < 250 / (MEASURED.producer_ms_per_page / 1e3) * 1.1
    assert outcome.verdict == "producers fall behind"

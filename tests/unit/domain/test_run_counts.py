from hypothesis import given
from hypothesis import strategies as st

from libs.domain.runs import RunCounts, RunStatus

small = st.integers(0, 10_000)
finished = st.builds(
    lambda unchanged, stored, duplicate, dead_lettered: RunCounts(
        unchanged + stored + duplicate + dead_lettered, unchanged, stored + duplicate, stored, duplicate, dead_lettered
    ),
    small,
    small,
    small,
    small,
)


@given(st.lists(finished))
def test_shards_that_add_up_make_a_run_that_adds_up(shards: list[RunCounts]) -> None:
    total = sum(shards, RunCounts())
    assert total.add_up
    assert total.fetched == sum(shard.fetched for shard in shards)


@given(finished, st.integers(1, 100))
def test_a_lost_row_shows(counts: RunCounts, lost: int) -> None:
    assert not (counts + RunCounts(fetched=lost)).add_up


def test_nothing_follows_an_end() -> None:
    assert {status for status in RunStatus if status.is_terminal} == {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.SKIPPED}

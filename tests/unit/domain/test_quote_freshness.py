import random
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.quotes import Quote, freshness, newer, newest_of_each_listing
from tests.unit.domain.made_up import quotes

# Of one listing, every (event time, fetch time, tick) is one content: what differs in nothing else is the same quote.
history = st.lists(
    quotes.map(lambda made: made._replace(source="csv", source_id="a")), min_size=1, max_size=8, unique_by=freshness
)


@given(history, st.randoms(use_true_random=False), st.integers(1, 3))
def test_whatever_the_order_and_however_often_the_newest_is_kept(seen: list[Quote], order: random.Random, times: int) -> None:
    arrivals = order.sample(seen * times, len(seen) * times)
    held: Quote | None = reduce(newer, arrivals, None)
    assert held == max(seen, key=freshness)


@given(quotes, quotes)
def test_older_never_replaces_newer(held: Quote, incoming: Quote) -> None:
    assert freshness(newer(held, incoming)) == max(freshness(held), freshness(incoming))


@given(quotes)
def test_the_same_quote_again_changes_nothing(held: Quote) -> None:
    assert newer(held, held._replace()) is held


@given(st.lists(quotes, max_size=12))
def test_collapsing_keeps_one_quote_of_each_listing_and_it_is_its_newest(seen: list[Quote]) -> None:
    newest = newest_of_each_listing(seen)
    assert set(newest) == {one.listing for one in seen}
    for listing, kept in newest.items():
        assert freshness(kept) == max(freshness(one) for one in seen if one.listing == listing)

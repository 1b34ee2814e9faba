"""The market is a pure function of (seed, listing, step)."""

from collections import Counter

from services.sandbox.market.market import Market, MarketListing
from services.sandbox.providers.coingecko_rows import WINDOWS, CoinGeckoRows
from services.sandbox.providers.coinpaprika_rows import CoinPaprikaRows

STEP = 29_000_000


def small(seed: int = 3, change_share: float = 1 / 3) -> Market:
    return Market(seed, coingecko_listings=300, coinpaprika_listings=500, change_share=change_share)


def answers(market: Market, step: int) -> tuple[bytes, list[str]]:
    gecko = CoinGeckoRows(market)
    return CoinPaprikaRows(market).body_at(step), [gecko.row(ranked, WINDOWS, sparkline=True) for ranked in gecko.ranked(step)]


def test_same_seed_and_step_give_the_same_bytes_whatever_was_asked_before() -> None:
    fresh, used = small(), small()
    for step in (STEP + 40, STEP - 7, 0):
        answers(used, step)
    assert answers(used, STEP) == answers(fresh, STEP)


def test_another_seed_or_step_gives_other_bytes() -> None:
    assert answers(small(), STEP)[0] != answers(small(seed=4), STEP)[0]
    assert answers(small(), STEP)[0] != answers(small(), STEP + 1)[0]


def test_about_a_third_of_the_listings_change_at_each_step() -> None:
    market = Market(1)
    for step in range(STEP, STEP + 5):
        changed = [market.changed_at(listing, step) == step for listing in market.coinpaprika]
        assert 0.28 < sum(changed) / len(changed) < 0.42


def test_a_listing_that_did_not_change_says_the_same_with_the_same_time_unless_its_rank_moved() -> None:
    market = small()
    rows = CoinPaprikaRows(market)
    before, after = list(rows.at(STEP)), list(rows.at(STEP + 1))
    rested = [
        (before[place], after[place])
        for place, listing in enumerate(sorted(market.coinpaprika, key=lambda listing: _place(before, listing)))
        if market.changed_at(listing, STEP + 1) <= STEP
    ]
    assert len(rested) > 250
    assert all(without_rank(old) == without_rank(later) for old, later in rested)
    assert sum(old == later for old, later in rested) > 0.8 * len(rested)


def _place(rows: list[str], listing: MarketListing) -> int:
    return next(place for place, row in enumerate(rows) if f'"id":"{listing.entry.source_id}"' in row)


def without_rank(row: str) -> str:
    start, rest = row.split('"rank":', 1)
    return start + rest.split(",", 1)[1]


def test_times_move_with_each_change_and_are_never_ahead_of_the_step() -> None:
    market = small()
    for listing in market.coingecko:
        seen = [market.updated_at(listing, market.reading(listing, step)) for step in range(STEP, STEP + 12)]
        changes = [market.changed_at(listing, step) for step in range(STEP, STEP + 12)]
        assert seen == sorted(seen)
        assert len(set(seen)) == len(set(changes))
        assert all(at <= step * market.step_seconds for at, step in zip(seen, range(STEP, STEP + 12), strict=True))


def test_nothing_changes_with_a_share_of_nothing_and_everything_with_all() -> None:
    frozen, restless = small(change_share=0), small(change_share=1)
    assert answers(frozen, STEP) == answers(frozen, STEP + 100)
    moving = [listing for listing in restless.coingecko if not listing.coin.stale]
    assert all(restless.changed_at(listing, STEP) == STEP for listing in moving)


def test_prices_stay_near_where_they_began_for_ever() -> None:
    market = small()
    for step in (0, STEP, 20 * STEP):
        for listing in market.coingecko:
            ratio = market.reading(listing, step).price_usd / listing.coin.price_usd
            assert 0.5 < ratio < 1.6


def test_asking_for_more_listings_leaves_the_others_as_they_were() -> None:
    fewer, more = small(), Market(3, coingecko_listings=900, coinpaprika_listings=1_700)
    for listing, same in [
        *zip(fewer.coingecko, more.coingecko, strict=False),
        *zip(fewer.coinpaprika, more.coinpaprika, strict=False),
    ]:
        assert listing.entry == same.entry
        assert fewer.reading(listing, STEP) == more.reading(same, STEP)


def test_sizes_up_to_twenty_thousand_are_met_with_ids_that_do_not_repeat() -> None:
    market = Market(1, coingecko_listings=20_000, coinpaprika_listings=20_000)
    for listings in (market.coingecko, market.coinpaprika):
        assert len({listing.entry.source_id for listing in listings}) == len(listings) == 20_000


def test_unknown_coins_say_in_their_id_that_they_are_made_up() -> None:
    market = Market(1)
    for listings in (market.coingecko, market.coinpaprika):
        assert all("made-up" in listing.entry.source_id for listing in listings[119:])


def test_symbols_repeat_as_at_the_providers_and_impostors_take_those_of_the_largest() -> None:
    market = Market(1)
    uids = Counter(listing.entry.symbol.strip().lower() for listing in market.coinpaprika)
    assert 0.05 < sum(listings for listings in uids.values() if listings > 1) / len(market.coinpaprika) < 0.2
    assert all(uids[uid] > 1 for uid in ("vet", "dash", "eos"))
    assert {"$rope", "a/b", "🚀", "x y", '"q"', "<b>"} <= uids.keys()


def test_most_coins_are_listed_by_both_under_other_ids() -> None:
    market = Market(1)
    both = {listing.coin.key: listing.entry for listing in market.coingecko}
    pairs = [(both[listing.coin.key], listing.entry) for listing in market.coinpaprika if listing.coin.key in both]
    assert len(pairs) > 850
    assert sum(gecko.source_id != paprika.source_id for gecko, paprika in pairs) > 0.99 * len(pairs)
    assert 0.2 < sum(gecko.name != paprika.name for gecko, paprika in pairs) / len(pairs) < 0.6

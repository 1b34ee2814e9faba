"""Pages from memory against sorted(): in every order, both ways, by offset and by cursor, through any changes between looks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.postgres.reading.assets import AssetKey, AssetsSeen
from services.query.sorted_assets import AssetPage, FoundAssets, SortedAssets
from services.query.sorted_list import SLICE, AssetOrder, Place

MOMENT = datetime(2026, 7, 1, tzinfo=UTC)
UIDS = ("a", "aa", "b", "straße", "ä", "z", "₿", "🚀")
NEAR = ("0.1", "0.10000000000000000001", "0.1000000000000000000100")
"""No float tells them apart, nor those that are too large or too small for one."""
FAR = tuple(sign + digits for digits in ("1E400", "1.1E400", "1E-400", "1.1E-400", "0", "1E300") for sign in ("", "-"))
AMOUNTS = st.sampled_from([None, "1", "1.0", "9", "10", "-3", "0.00000000000000000384", "NaN", "Infinity", *NEAR, *FAR])
COLUMN_OF = {
    AssetOrder.RANK: "market_cap_rank",
    AssetOrder.MARKET_CAP: "market_cap_usd",
    AssetOrder.PRICE: "price_usd",
    AssetOrder.VOLUME: "volume_24h_usd",
    AssetOrder.UPDATED_AT: "updated_at",
}
QUESTIONS = [
    AssetPage(order, descending, limit=3, source=source, search=search)
    for order, descending, source, search in product(AssetOrder, (False, True), (None, "csv"), (None, "a", "bit"))
]


@st.composite
def changes(draw: st.DrawFn) -> Sequence[AssetKey]:
    """The assets that one look tells of; their versions are to be given out."""
    return [
        AssetKey(
            uid,
            0,
            MOMENT + timedelta(seconds=draw(st.integers(0, 3))),
            draw(st.sampled_from([None, 1, 2, 3])),
            draw(AMOUNTS),
            draw(AMOUNTS),
            draw(AMOUNTS),
            draw(st.sampled_from(["csv", "coingecko"])),
            draw(st.sampled_from(["Bitcoin", "RABBIT", "Ether"])),
        )
        for uid in draw(st.sets(st.sampled_from(UIDS)))
    ]


def seen(held: Mapping[str, AssetKey], keys: Sequence[AssetKey], look: int = 0) -> AssetsSeen:
    return AssetsSeen(f"{look}", len(held), sum(key.version for key in held.values()), MOMENT + timedelta(look), keys)


def value_of(order: AssetOrder, key: AssetKey) -> Any:
    if order is AssetOrder.UID:
        return None
    value = getattr(key, COLUMN_OF[order])
    if not isinstance(value, str):
        return value
    return Decimal(value) if Decimal(value).is_finite() else None


def expected(held: Mapping[str, AssetKey], page: AssetPage) -> list[AssetKey]:
    """As an ORDER BY has it, in words that share none with the code."""
    fits = [key for key in held.values() if page.source in {None, key.source}]
    if page.search is not None:
        fits = [key for key in fits if key.asset_uid.startswith(page.search) or page.search in key.name.lower()]
    valued = [key for key in fits if value_of(page.order, key) is not None]
    without = [key for key in fits if value_of(page.order, key) is None]
    valued.sort(key=lambda key: (value_of(page.order, key), key.asset_uid), reverse=page.descending)
    without.sort(key=lambda key: key.asset_uid, reverse=page.descending)
    return valued + without


async def page_of(assets: SortedAssets, page: AssetPage) -> FoundAssets:
    await assets.sort(page.order, page.source)
    return await assets.page(page)


async def filled(held: Mapping[str, AssetKey]) -> SortedAssets:
    assets = SortedAssets()
    assert await assets.take(seen(held, list(held.values())))
    return assets


async def walked(assets: SortedAssets, page: AssetPage) -> AsyncIterator[AssetKey]:
    for _ in range(len(UIDS)):
        found = await page_of(assets, page)
        for key in found.keys:
            yield key
        if found.end is None:
            return
        page = replace(page, after=found.end)
    pytest.fail(f"a walk without end: {page}")


async def check(assets: SortedAssets, held: Mapping[str, AssetKey]) -> None:
    for page in QUESTIONS:
        rows = expected(held, page)
        for offset in range(len(rows) + 2):
            found = await page_of(assets, replace(page, offset=offset))
            assert (found.keys, found.total) == (rows[offset : offset + page.limit], len(rows)), page
            assert (found.end is None) == (offset + page.limit >= len(rows)), "the last page says that it is the last"
        assert [key async for key in walked(assets, page)] == rows, page
    await assets.sort(AssetOrder.UID, "csv")
    assert assets.count(None) == len(held)
    assert assets.count("csv") == sum(key.source == "csv" for key in held.values())


@settings(max_examples=60)
@given(looks=st.lists(st.tuples(changes(), st.sets(st.sampled_from(UIDS)), st.booleans()), min_size=1, max_size=6))
async def test_whatever_comes_and_goes_between_looks_pages_are_what_sorting_everything_gives(
    looks: Sequence[tuple[Sequence[AssetKey], set[str], bool]],
) -> None:
    """Some looks are followed by no question, so that a list is several behind; some tell what they have told before."""
    held: dict[str, AssetKey] = {}
    assets, version = await filled({}), 0
    for number, (changed, told_again, is_asked) in enumerate(looks, 1):
        again = [held[uid] for uid in told_again if uid in held and all(key.asset_uid != uid for key in changed)]
        versioned = []
        for key in changed:
            version += 1
            versioned.append(key._replace(version=version))
        held |= {key.asset_uid: key for key in versioned}
        assert await assets.take(seen(held, [*versioned, *again], number))
        assert (assets.horizon, assets.as_of) == (f"{number}", MOMENT + timedelta(number))
        if is_asked:
            await check(assets, held)
    await check(assets, held)


@pytest.fixture
def three() -> dict[str, AssetKey]:
    keys = [AssetKey(uid, version, MOMENT, version, None, None, None, "csv", uid) for version, uid in enumerate("abc", 1)]
    return {key.asset_uid: key for key in keys}


async def test_a_look_that_does_not_add_up_is_not_taken_in_and_changes_nothing(three: dict[str, AssetKey]) -> None:
    assets = await filled(three)
    await check(assets, three)
    moved = three["a"]._replace(version=4, market_cap_rank=9)
    without_b = {"a": moved, "c": three["c"]}
    assert not await assets.take(seen(without_b, [moved], 1))
    assert (assets.horizon, assets.as_of) == ("0", MOMENT)
    await check(assets, three)
    in_place_of_b = {**without_b, "d": three["b"]._replace(asset_uid="d", version=5)}  # as many as there were
    assert not await assets.take(seen(in_place_of_b, [moved, in_place_of_b["d"]], 1))
    other_database = {**three, "c": three["c"]._replace(version=2**40)}  # as many, and none that is new by this horizon
    assert not await assets.take(seen(other_database, [], 1))
    assert await assets.take(seen({**three, "a": moved}, [moved], 1))
    await check(assets, {**three, "a": moved})


async def test_a_row_that_was_written_without_a_new_version_is_taken_in_too(three: dict[str, AssetKey]) -> None:
    """As no writer does; a restored sequence gives out versions again, with another time."""
    assets = await filled(three)
    await check(assets, three)
    again = three["b"]._replace(updated_at=MOMENT + timedelta(seconds=1), market_cap_rank=7)
    assert await assets.take(seen({**three, "b": again}, [again], 1))
    await check(assets, {**three, "b": again})


async def test_whoever_else_is_on_the_loop_has_turns_and_sees_a_look_as_a_whole_or_not_at_all() -> None:
    held = {f"{number:05}": AssetKey(f"{number:05}", 1, MOMENT, 1, "1", "1", None, "csv", "") for number in range(5 * SLICE)}
    assets = await filled(held)
    await assets.sort(AssetOrder.PRICE, "csv")
    moved = {uid: key._replace(version=2, price_usd=f"{int(uid)}") for uid, key in held.items()}
    before, after = list(held.values())[:500], sorted(moved.values(), key=lambda key: int(key.asset_uid))[:500]
    page = AssetPage(AssetOrder.PRICE, descending=False, limit=500, source="csv")
    seen_meanwhile: list[tuple[bool, bool]] = []

    async def others() -> None:
        while True:
            if assets.is_sorted(page.order, page.source):
                found = await assets.page(page)
                is_new = found.as_of > MOMENT
                assert list(found.keys) == (after if is_new else before)
            seen_meanwhile.append((assets.as_of > MOMENT, assets.is_sorted(page.order, page.source)))
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    assert await assets.take(seen(moved, list(moved.values()), 1))
    assert await page_of(assets, page) == FoundAssets(after, len(held), Place(Decimal(499), "00499"), MOMENT + timedelta(1))
    running.cancel()
    turns = Counter(seen_meanwhile)
    assert turns[False, True] >= 4, "while the look is taken in"
    assert turns[True, False] >= 4 + 4 + 4, "while entries are made, dropped and merged"
    searching = asyncio.create_task(assets.page(replace(page, search="0")))
    await asyncio.sleep(0)
    assert not searching.done()
    await assets.take(seen(held, list(held.values()), 2))
    found = await searching
    assert (found.as_of, found.total) == (MOMENT + timedelta(1), SLICE * 5), "of the moment at which it was asked for"

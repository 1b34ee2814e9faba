"""The assets of the quotes that a chunk moved, from these and from what else their uids hold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from libs.domain.assets import asset_of
from libs.domain.quotes import Quote
from libs.postgres.pool import Connection
from libs.postgres.writing import assets, quotes


class Recomputed(NamedTuple):
    """The assets that are others now, and the uids that have none any more."""

    changed: Sequence[assets.Changed] = ()
    gone: Sequence[str] = ()


async def recompute(
    connection: Connection, priorities: Mapping[str, int], moved: Sequence[Quote], told: quotes.Moved
) -> Recomputed:
    """Write the assets of these quotes, at most one a listing, and of the uids that their listings left (`told`).

    Most uids have one listing, whose quote is at hand; where there are more, the quotes that did not move are read. What changed
    an asset is one of its ticks in this transaction, whichever: none is acknowledged before what they changed is published.
    """
    if not moved:
        return Recomputed()
    by_uid: dict[str, list[Quote]] = {}
    for quote in moved:
        by_uid.setdefault(quote.asset_uid, []).append(quote)
    for uid in told.left.values():
        by_uid.setdefault(uid, [])
    changed_by = {uid: tick_id for tick_id, uid in told.left.items()} | {quote.asset_uid: quote.tick_id for quote in moved}
    shared = {quote.asset_uid for quote in moved if quote.tick_id in told.shared} | set(told.left.values())
    await _add_others(connection, by_uid, shared)
    computed = {uid: asset_of(held, priorities) for uid, held in by_uid.items()}
    present = [asset for asset in computed.values() if asset is not None]
    changed = await assets.upsert_changed(connection, present, changed_by)
    absent = [uid for uid, asset in computed.items() if asset is None]
    return Recomputed(changed, await assets.delete_empty(connection, absent, changed_by))


async def _add_others(connection: Connection, by_uid: Mapping[str, list[Quote]], shared: set[str]) -> None:
    if shared:
        known = [quote.tick_id for uid in shared for quote in by_uid[uid]]
        for quote in await quotes.load_others(connection, list(shared), known):
            by_uid[quote.asset_uid].append(quote)

"""Reading the canonical assets: what all of them are sorted by, looked at again and again, and assets by their uids.

A look costs a walk through the table and brings what has been written since the look before, so that whoever holds all keys
(services/query/sorted_assets.py) sorts them in memory and `assets` needs no index but its key. Versions cannot tell what is
new: transactions commit in another order than they took their versions from the sequence. Transaction ids can, by the
snapshot that a look has seen:

- `pg_snapshot_xmin` of a snapshot is the lowest id of a transaction that was still running: all below it are over, and what they
  wrote was seen. A transaction that runs then, or begins later, has that id or a higher one, and so have its subtransactions.
- `xmin` of a row is the id of the transaction that wrote this version of it. A frozen row shows the id that it had: since
  Postgres 9.4 only a bit says that it is frozen.
- An xid has no order, for it counts in a circle of 32 bits. `age(xid)` is how far it is behind the next one, which is the same
  all through a transaction; the three that are no transaction's are as old as can be. Ages compare rightly up to 2 billion,
  so a row that was written longer ago may be told again, and none is left out.

So `age(xmin) <= age(horizon)` are the rows that the look before may not have seen. While a transaction that has an id runs, in
whatever database of the cluster, or stands prepared and forgotten, all that was written since it began is told at each look
again: dearer, never wrong.

Rows that were deleted do not come: `assets` and `versions`, of the same snapshot, tell whether whoever holds the keys holds any
that are gone.

What a look costs Postgres when no asset has changed since, and when all have, by EXPLAIN (ANALYZE, BUFFERS) on two busy cores
with 128 MB of shared buffers: 15,000 fresh assets (7 MiB) 4 to 7 and 33 to 69 ms; after ten updates of all before any vacuum
(25 MiB) 4 to 14 and 33 to 56. 100,000 (48 MiB) 44 and 270; after three updates (133 MiB) 110 and 330 to 400; past the buffers
(169 MiB) 310 and 520.

Amounts are read as text: an answer needs their digits, and making decimals of them took a third of a page's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row
from libs.process.turns import in_turns

SLICE: Final = 2_000
"""So many rows of a look are made into keys without a turn for the others on the loop: one or two milliseconds."""

_COLUMNS = """
    asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing,
    listings_total, price_usd::text, market_cap_usd::text, volume_24h_usd::text,
    percent_change_1h::text, percent_change_24h::text, percent_change_7d::text,
    circulating_supply::text, total_supply::text, max_supply::text, price_spread_percent::text,
    source_updated_at, fetched_at, tick_id, warnings, updated_at"""


class AssetKey(NamedTuple):
    """An asset in one version, and what assets are sorted, filtered and searched by.

    A sequence that was restored from a backup gives out its versions again; with the time of writing, no two are alike.
    """

    asset_uid: str
    version: int
    updated_at: datetime
    market_cap_rank: int | None
    market_cap_usd: str | None
    price_usd: str | None
    volume_24h_usd: str | None
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class AssetsSeen:
    """What one snapshot showed: `assets` and the sum of their `versions`, of all; `keys` of those that may be new.

    `as_of`: all that was committed by then was seen; on a standby, what it had replayed. `horizon`: where the next look begins.
    """

    horizon: str
    assets: int
    versions: int
    as_of: datetime
    keys: Sequence[AssetKey]


# The row of the whole comes beside those of the keys, whose columns are null in it as its own are in theirs. An id of 64 bits is
# no xid any more once the circle has closed for the first time: hence xid8 before xid. Without a horizon every age will do.
# now() and not statement_timestamp(): the latter is when the driver's Execute came, and the snapshot is older, of its Bind.
LOOK = """
    SELECT horizon, assets, versions, as_of, told.* FROM (
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, count(*) AS assets,
            coalesce(sum(version), 0)::text AS versions, now() AS as_of
        FROM assets
    ) AS whole FULL JOIN (
        SELECT asset_uid, version, updated_at, market_cap_rank, market_cap_usd::text, price_usd::text, volume_24h_usd::text,
            source, name
        FROM assets WHERE age(xmin) <= (SELECT coalesce(age($1::text::xid8::xid), 2147483647))
    ) AS told ON false"""


async def look_at_assets(connection: Connection, since: str | None) -> AssetsSeen:
    """Return the keys of the assets that may have been written since a look that had this horizon; of all without one.

    Not in a transaction block: its moment is when the transaction began.
    """
    rows = await connection.fetch(LOOK, since)
    wholes: list[Row] = []
    keys: list[AssetKey] = []
    async for some in in_turns(rows, SLICE):
        wholes += [row for row in some if row[0] is not None]
        keys += [AssetKey._make(row[4:]) for row in some if row[0] is None]
    (whole,) = wholes
    return AssetsSeen(whole["horizon"], whole["assets"], int(whole["versions"]), whole["as_of"], keys)


ASSET = f"SELECT now() AS as_of, {_COLUMNS} FROM (SELECT) AS always LEFT JOIN assets ON asset_uid = $1"  # noqa: S608 -- our own


async def load_asset(connection: Connection, asset_uid: str) -> tuple[datetime, Row | None]:
    """Return one canonical row, None if there is none, and as of when that is so."""
    row = await connection.fetchrow(ASSET, asset_uid)
    if row is None:
        raise AssertionError("a join from one row has one")
    return row["as_of"], None if row["asset_uid"] is None else row


ASSETS = f"SELECT {_COLUMNS} FROM assets WHERE asset_uid = ANY($1::text[])"  # noqa: S608 -- our own column list


async def load_assets(connection: Connection, asset_uids: Sequence[str]) -> Sequence[Row]:
    """Return the canonical rows of those that are there, in no order."""
    return await connection.fetch(ASSETS, asset_uids)


COUNT_BY_SOURCE = "SELECT source, count(*) AS assets FROM assets GROUP BY source"


async def count_assets_by_source(connection: Connection) -> dict[str, int]:
    """Return how many assets take their values from each source."""
    return {row["source"]: row["assets"] for row in await connection.fetch(COUNT_BY_SOURCE)}

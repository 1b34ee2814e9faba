"""Assets as JSON, each written once a version: a page under load is the same rows again and again."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

import msgspec

from libs.postgres.reading.acquiring import Readers, reading
from libs.postgres.reading.assets import AssetKey, load_assets
from libs.postgres.reading.rows import Row
from services.query.rendering import encoded
from services.query.views.assets import asset_body

MOST_HELD = 20_000
"""Assets, of some 1 KB: more than there are in a day's answers of both providers."""


class RenderedAssets:
    """Holds what was rendered last of each asset, and for how old: nothing that it gives out is older than what was asked for."""

    def __init__(self, readers: Readers, most: int = MOST_HELD) -> None:
        self._readers = readers
        self._most = most
        self._held: OrderedDict[str, tuple[int, datetime, msgspec.Raw]] = OrderedDict()

    async def of(self, keys: Sequence[AssetKey]) -> list[msgspec.Raw]:
        """Return the assets in the order of the keys, each in the version of its key or a newer one.

        One that was deleted since the keys were read is left out. Takes a connection only for what is not held.
        """
        held = self._held
        found = {key.asset_uid: one[2] for key in keys if (one := held.get(key.asset_uid)) and one[:2] == key[1:3]}
        for asset_uid in found:
            held.move_to_end(asset_uid)
        missing = [key.asset_uid for key in keys if key.asset_uid not in found]
        for row in await self._load(missing) if missing else ():
            found[row["asset_uid"]] = raw = msgspec.Raw(encoded(asset_body(row)))
            held[row["asset_uid"]] = (row["version"], row["updated_at"], raw)
            held.move_to_end(row["asset_uid"])
        while len(held) > self._most:
            held.popitem(last=False)
        return [found[key.asset_uid] for key in keys if key.asset_uid in found]

    async def _load(self, asset_uids: Sequence[str]) -> Sequence[Row]:
        async with reading(self._readers) as connection:
            return await load_assets(connection, asset_uids)

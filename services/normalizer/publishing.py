"""Publishing assets so that the newest record of each is the newest version, whoever else is at work.

Between the commit of a version and its publication another worker may commit and publish a newer one: after a rebalance,
or when a listing changes its symbol. So whoever has published looks again, and publishes what overtook it. Either the
other one commits after that look, and publishes later still; or this one sees its version, and publishes that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from libs.contracts.asset import encode_asset
from libs.kafka.records import Record as Outgoing
from libs.postgres.writing.assets import Changed, find_overtaken, load_current
from libs.postgres.writing.chunks import Written
from services.normalizer.outlets import Outlets
from services.normalizer.traces import NO_TRACES, Traces

_outgoing = partial(tuple.__new__, Outgoing)
"""By the tuple's own constructor: there is one for nearly every tick."""


@dataclass(frozen=True, slots=True)
class AssetPublisher:
    """Publishes what chunks changed, in order. `_owed` holds what this worker has committed and not published yet."""

    outlets: Outlets
    _owed: dict[str, int | None] = field(default_factory=dict)

    def owe(self, written: Written) -> None:
        """Note what has just been committed; it will be published by `publish`, so it overtakes nothing until then."""
        self._owed.update(_versions(written.changed, written.gone))

    async def publish(self, written: Sequence[Written], traces: Traces = NO_TRACES) -> int:
        """Return how many records were published, once Kafka has them and none is behind the table.

        An asset that is owed no more was published since, by a chunk of the other lane which may be acknowledged: whoever sent
        an older version behind that one and died would leave it for the newest. `traces`: of the ticks that changed them.
        """
        sent: dict[str, int | None] = {}
        for one in written:
            sent |= _versions(one.changed, one.gone)
        published = {uid: version for uid, version in sent.items() if uid not in self._owed}
        late = await self._find_overtaken(published) if published else {}
        records: list[Outgoing] = []
        for one in written:
            changed = [each for each in one.changed if each.asset.asset_uid not in late]
            records += self._records(changed, [uid for uid in one.gone if uid not in late], traces)
        await self.outlets.publish(records)
        return len(records) + await self._catch_up(sent)

    async def _catch_up(self, sent: dict[str, int | None]) -> int:
        published = 0
        while sent:
            for asset_uid, version in sent.items():
                if self._owed.get(asset_uid, 0) == version:
                    del self._owed[asset_uid]
            overtaken = await self._overtaken(sent)
            if not overtaken:
                break
            current = await self._current(list(overtaken))
            gone = sorted(overtaken.keys() - {one.asset.asset_uid for one in current})
            records = self._records(current, gone)
            await self.outlets.publish(records)
            published += len(records)
            sent = _versions(current, gone)
        return published

    async def _overtaken(self, sent: Mapping[str, int | None]) -> dict[str, int | None]:
        """What others have made of the assets since; what our own next chunk made of them is published with that chunk."""
        found = await self._find_overtaken(sent)
        return {uid: version for uid, version in found.items() if uid not in self._owed or self._owed[uid] != version}

    async def _find_overtaken(self, sent: Mapping[str, int | None]) -> dict[str, int | None]:
        return await self.outlets.through_postgres(lambda: find_overtaken(self.outlets.pool, sent))

    async def _current(self, asset_uids: Sequence[str]) -> list[Changed]:
        return await self.outlets.through_postgres(lambda: load_current(self.outlets.pool, asset_uids))

    def _records(self, changed: Sequence[Changed], gone: Sequence[str], traces: Traces = NO_TRACES) -> list[Outgoing]:
        topic, headers_of = self.outlets.assets_topic, traces.headers_of
        records = []
        for asset, version in changed:
            uid = asset.asset_uid
            records.append(_outgoing((topic, uid.encode(), encode_asset(asset, version), headers_of(uid), None)))
        return records + [Outgoing(topic, uid.encode(), None, headers_of(uid)) for uid in gone]


def _versions(changed: Sequence[Changed], gone: Sequence[str]) -> dict[str, int | None]:
    versions: dict[str, int | None] = {asset.asset_uid: version for asset, version in changed}
    return versions | dict.fromkeys(gone)

"""Follow the canonical assets: copy this file and replace `show`. It needs nothing but aiokafka.

    python docs/examples/subscribe_assets.py --bootstrap-servers 127.0.0.1:9092 --from-beginning

assets.normalized is compacted: read it from the beginning and you hold every asset, read on and you hold every change.
Three things a reader must do: read committed; parse numbers as decimals (a float rounds 0.1 and breaks 1e-18); and keep the
highest `version` of an asset it has seen, because delivery is at least once. A record without a value means that no listing
of the asset is left. The schema is docs/contracts/schemas/Asset.v1.json.
"""

import argparse
import asyncio
import contextlib
import json
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer

Asset = dict[str, Any]


async def follow(bootstrap_servers: str, group: str | None, *, from_beginning: bool, stop_after: int | None) -> None:
    """Call `show` for each change. With a group, Kafka remembers your place; without one you start where you say."""
    consumer = AIOKafkaConsumer(
        "assets.normalized",
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        isolation_level="read_committed",
        auto_offset_reset="earliest" if from_beginning else "latest",
        enable_auto_commit=False,
    )
    versions: dict[str, int] = {}
    shown = 0
    async with consumer:
        async for record in consumer:
            asset_uid = record.key.decode()
            if record.value is None:
                versions.pop(asset_uid, None)
                show(asset_uid, None)
            else:
                asset: Asset = json.loads(record.value, parse_float=Decimal)
                if asset["version"] < versions.get(asset_uid, 0):
                    continue
                versions[asset_uid] = asset["version"]
                show(asset_uid, asset)
            if group is not None:
                await consumer.commit()  # after the work: a crash before this line repeats the record, never loses it
            shown += 1
            if shown == stop_after:
                return


def show(asset_uid: str, asset: Asset | None) -> None:
    """Your code goes here."""
    if asset is None:
        print(f"{asset_uid}: gone", flush=True)
        return
    taken = asset["taken"]
    print(f"{asset_uid}: {asset['price_usd']} USD from {taken['source']}/{taken['source_id']} v{asset['version']}", flush=True)


def main() -> None:
    """Read the command line and follow until stopped."""
    parser = argparse.ArgumentParser(description="Follow Kasparro's canonical assets")
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:9092", help="host:port of the broker")
    parser.add_argument("--group", help="consumer group that remembers your place")
    parser.add_argument("--from-beginning", action="store_true", help="start with every asset there is")
    parser.add_argument("--stop-after", type=int, help="end after this many changes")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            follow(
                arguments.bootstrap_servers,
                arguments.group,
                from_beginning=arguments.from_beginning,
                stop_after=arguments.stop_after,
            )
        )


if __name__ == "__main__":
    main()

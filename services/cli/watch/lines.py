"""Updates as lines: JSON for scripts, words for a pipe that people read. Pure."""

import msgspec

from services.cli.amounts import UNKNOWN, change
from services.cli.terminal_text import on_one_line
from services.cli.watch.updates import AssetChanged, AssetRemoved, Conflated, Reset, Update


def json_line(update: Update, *, sandbox: bool) -> bytes | None:
    """Return an update as the WebSocket spells it (event, id, data), and whether the data are made up.

    None: it is nothing for scripts. An asset is the API's own JSON, every digit of it.
    """
    match update:
        case AssetChanged(content=content, position=position):
            return _event("asset", position, msgspec.Raw(content), sandbox=sandbox)
        case AssetRemoved(asset_uid=uid, position=position):
            return _event("removed", position, {"asset_uid": uid}, sandbox=sandbox)
        case Conflated(skipped=skipped, position=position):
            return _event("conflated", position, {"skipped": skipped}, sandbox=sandbox)
        case Reset(reason=reason, position=position):
            return _event("reset", position, {"reason": reason}, sandbox=sandbox)
    return None


def _event(name: str, position: str | None, data: object, *, sandbox: bool) -> bytes:
    return msgspec.json.encode({"event": name, "id": position, "sandbox": sandbox, "data": data}) + b"\n"


def plain_line(update: Update, *, sandbox: bool) -> bytes | None:
    """Return an update as one line of words; None: it is not about an asset."""
    match update:
        case AssetChanged(asset=asset):
            price = UNKNOWN if asset.price_usd is None else f"{str(asset.price_usd).lower()} USD"
            parts = [f"{asset.source_updated_at:%Y-%m-%dT%H:%M:%SZ}", on_one_line(asset.asset_uid), price]
            parts += [f"24 h {change(asset.percent_change_24h)}", asset.taken.source, *asset.warnings]
        case AssetRemoved(asset_uid=uid):
            parts = [on_one_line(uid), "is not there any more"]
        case _:
            return None
    return "  ".join([*map(on_one_line, parts), *(["(sandbox)"] if sandbox else [])]).encode(errors="backslashreplace") + b"\n"

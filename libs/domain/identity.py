"""What names a thing: the asset_uid of a symbol, the listing of a provider's row, the tick_id of its content."""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from libs.domain.rejections import Reason, Rejection

LONGEST_ASSET_UID = 64
"""Characters. The longest symbol in the recorded answers has 26; a sentence in the symbol's place is not a symbol."""


class Listing(NamedTuple):
    """One provider's entry. Symbols collide, so a listing, never an asset_uid, is what a quote belongs to."""

    source: str
    source_id: str


def asset_uid_of(symbol: str | None) -> str | Rejection:
    """Return the symbol trimmed and lower-cased, nothing else changed, or why it cannot name an asset."""
    asset_uid = (symbol or "").strip().lower()
    if not asset_uid:
        return Rejection(Reason.MISSING_SYMBOL, "the symbol is missing or blank")
    if len(asset_uid) > LONGEST_ASSET_UID:
        return Rejection(Reason.SYMBOL_TOO_LONG, f"the symbol has {len(asset_uid)} characters, at most {LONGEST_ASSET_UID}")
    if "\x00" in asset_uid:
        return Rejection(Reason.NUL_CHARACTER, "the symbol holds a NUL, which Postgres cannot store")
    return asset_uid


def tick_id_of(source: str, source_id: str, payload: bytes) -> UUID:
    """Return the 128-bit id of one content of one listing: the same content has the same id, whoever sends it and when."""
    return UUID(bytes=content_hash(source, source_id, payload))


def content_hash(source: str, source_id: str, payload: bytes) -> bytes:
    """Return the 16 bytes of the tick_id: cheaper to compare with than to make an UUID of.

    Each part is hashed behind its length, so that no two different triples run together.
    """
    listing = source_id.encode("utf-8", "surrogatepass")
    parts = (_named(source), len(listing).to_bytes(4, "big"), listing, len(payload).to_bytes(4, "big"), payload)
    return blake2b(b"".join(parts), digest_size=16).digest()


@lru_cache(maxsize=64)
def _named(source: str) -> bytes:
    name = source.encode()
    return len(name).to_bytes(4, "big") + name

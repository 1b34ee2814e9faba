"""The standard partitioner: murmur2 of the key, as Kafka's own clients do it, so one key is one partition number everywhere."""

from functools import lru_cache
from struct import iter_unpack

_SEED, _MIX, _SHIFT, _MASK = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF
_CACHED_KEYS = 131_072
"""More than the assets of all providers, in at most 24 MiB: in one too small for keys that come in turns none is ever found."""


@lru_cache(maxsize=_CACHED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that a record with this key belongs to."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(key: bytes) -> int:
    mixed = _SEED ^ len(key)
    whole = len(key) & ~3
    for (word,) in iter_unpack("<I", key[:whole]):
        scrambled = (word * _MIX) & _MASK
        mixed = ((mixed * _MIX) ^ ((scrambled ^ (scrambled >> _SHIFT)) * _MIX)) & _MASK
    if rest := key[whole:]:
        mixed = ((mixed ^ int.from_bytes(rest, "little")) * _MIX) & _MASK
    mixed = ((mixed ^ (mixed >> 13)) * _MIX) & _MASK
    return mixed ^ (mixed >> 15)

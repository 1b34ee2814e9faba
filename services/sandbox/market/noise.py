"""Randomness that is a pure function: the same key and index give the same number in every process and on every machine.

Nothing here is drawn, so nothing has to be replayed to know what a price is at step 29,000,000.
"""

from hashlib import blake2b
from math import sqrt

_MASK = (1 << 64) - 1
_SCALES = (1, 5, 25, 125, 625, 3125)
"""Steps between the nodes of each octave of a walk; past the last, a price returns to where it was."""

LARGEST_WALK = sum(sqrt(scale) for scale in _SCALES)
"""A walk stays within this many times its volatility of its start (about 100)."""


def key_of(seed: int, *parts: str) -> int:
    """Return the 64-bit key that the numbers of one thing are drawn under."""
    text = "\x1f".join((str(seed), *parts))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def bits(key: int, index: int) -> int:
    """Return 64 well-mixed bits (splitmix64)."""
    z = (key + index * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def unit(key: int, index: int) -> float:
    """Return a number in [0, 1)."""
    return (bits(key, index) >> 11) * 2.0**-53


def chance(key: int, index: int, share: float) -> bool:
    """Return True for about so large a share of keys and indexes."""
    return unit(key, index) < share


def drift(key: int, step: int, scale: int) -> float:
    """Return a number in [-1, 1) that moves smoothly from node to node, `scale` steps apart."""
    node, offset = divmod(step, scale)
    here = unit(key, node)
    if offset:
        here += (unit(key, node + 1) - here) * offset / scale
    return 2 * here - 1


def walk(key: int, step: int) -> float:
    """Return how far a random walk is from its start, in volatilities of one step: small moves each step, large ones slowly."""
    return sum(sqrt(scale) * drift(key ^ scale, step, scale) for scale in _SCALES)

"""Numbers and identifiers drawn from the seed: the same on every machine and in every process."""

from hashlib import blake2b
from typing import NamedTuple

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


class Keys(NamedTuple):
    """One starting point for each thing that is numbered."""

    org: int
    term: int
    course: int
    section: int
    user: int
    role: int
    enrollment: int
    person: int
    night: int


def keys_of(seed: int) -> Keys:
    digests = (blake2b(f"{seed}:{name}".encode(), digest_size=8) for name in Keys._fields)
    return Keys(*(int.from_bytes(digest.digest()) for digest in digests))


def draw(key: int, number: int) -> int:
    """64 bits for a number, mixed as splitmix64 does: no two numbers of a key have the same."""
    bits = (key + number * GOLDEN) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def source_id(key: int, number: int) -> str:
    """24 hexadecimal digits, unique among the numbers of one key."""
    bits = draw(key, number)
    return f"{bits:016x}{(bits * GOLDEN & MASK) >> 32:08x}"

"""Checksums: a number for each snapshot, by which a bit that flipped on the disk is found.

CRC-32 finds any one flipped bit, and any damage within 32 bits in a row, for certain. It is no protection against
people.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from pipeline.model.values import Value

_SIGN = 1 << 31


class Summed(NamedTuple):
    """What the checksum of a snapshot is made of. Parts are digests: ids would be others after an import.

    Confirmations are not in it, as they are added later.
    """

    symbol: str
    observed_at: str
    profile: bytes
    statement: bytes
    layout: bytes
    daily: Sequence[Value]
    extra: str | None


def checksum_of(snapshot: Summed, columns: tuple[str, ...]) -> int:
    """Return the checksum of a snapshot whose daily values are of these columns.

    Columns without a value are left out: a further column changes no checksum. The number has 32 bits with its sign,
    which SQLite keeps in 4 bytes.
    """
    *others, daily, extra = snapshot
    values = {name: daily[place] for name, place in _in_order(columns) if daily[place] is not None}
    return zlib.crc32(msgspec.msgpack.encode((*others, values, extra))) - _SIGN


def is_sound(snapshot: Summed, columns: tuple[str, ...], checksum: int) -> bool:
    """Whether a checksum is that of a snapshot, as a file that may be damaged has them."""
    try:
        return checksum == checksum_of(snapshot, columns)
    except (UnicodeEncodeError, TypeError):  # text that is not UTF-8; a type that no column has
        return False


@lru_cache(maxsize=8)
def _in_order(columns: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return the columns in the order of their names, each with its place."""
    return tuple(sorted((name, place) for place, name in enumerate(columns)))

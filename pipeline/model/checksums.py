"""Checksums: a number for each snapshot and its confirmations, by which a bit that flipped on the disk is found.

It is the sum of a CRC-32 of what identifies the snapshot and one of each confirmation: another confirmation, or a field
that moves into a column, is added without reading the rest, and what was damaged before stays so. CRC-32 finds any one
flipped bit, and any damage within 32 bits in a row, for certain. It is no protection against people.
"""

import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from pipeline.model.values import Value

_BITS = 32
_SIGN = 1 << (_BITS - 1)


class Summed(NamedTuple):
    """What identifies a snapshot. Parts are digests: ids would be others after an import."""

    symbol: str
    observed_at: str
    profile: bytes
    statement: bytes
    layout: bytes
    daily: Sequence[Value]
    extra: str | None


def sum_of(snapshot: Summed, columns: tuple[str, ...]) -> int:
    """Return the sum of what identifies a snapshot whose daily values are of these columns.

    Columns without a value are left out: a further column changes no checksum.
    """
    *others, daily, extra = snapshot
    values = {name: daily[place] for name, place in _in_order(columns) if daily[place] is not None}
    return zlib.crc32(msgspec.msgpack.encode((*others, values, extra)))


def sum_of_confirmations(symbol: str, confirmations: Iterable[str]) -> int:
    """Return the sum of a symbol's confirmations, which are instants."""
    return sum([zlib.crc32(f"{symbol} {at}".encode()) for at in confirmations])


def checksum(total: int) -> int:
    """Return the checksum of a sum: 32 bits with their sign, which SQLite keeps in 4 bytes."""
    return (total + _SIGN) % (1 << _BITS) - _SIGN


ADDED = f"((checksum + {{}} + {_SIGN}) & {(1 << _BITS) - 1}) - {_SIGN}"
"""The same in SQL: a checksum to which {} is added. NULL stays."""


@lru_cache(maxsize=8)
def _in_order(columns: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return the columns in the order of their names, each with its place."""
    return tuple(sorted((name, place) for place, name in enumerate(columns)))

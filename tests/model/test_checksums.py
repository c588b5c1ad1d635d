"""Checksums: of all that identifies a snapshot, whatever columns came later."""

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.checksums import Summed, checksum_of, is_sound

COLUMNS = ("eps", "beta", "market_capitalization")
SNAPSHOT = Summed("IBM", "2026-03-14T18:30:00.000Z", b"p" * 16, b"s" * 16, b"l" * 16, (1.5, None, 9_000_000_000), None)
CHANGES: dict[str, Any] = {
    "symbol": "IBN", "observed_at": "2026-03-14T18:30:00.001Z", "profile": b"q" * 16, "statement": b"q" * 16,
    "layout": b"q" * 16, "daily": (1.5, 0.0, 9_000_000_000), "extra": '{"New": "1"}',
}  # fmt: skip


def test_whatever_identifies_a_snapshot_is_in_its_checksum() -> None:
    assert CHANGES.keys() == set(Summed._fields)
    changed = [checksum_of(SNAPSHOT._replace(**{name: value}), COLUMNS) for name, value in CHANGES.items()]
    assert len({checksum_of(SNAPSHOT, COLUMNS), *changed}) == len(CHANGES) + 1


def test_the_value_of_one_column_in_another_changes_it() -> None:
    assert checksum_of(SNAPSHOT._replace(daily=(None, 1.5, 9_000_000_000)), COLUMNS) != checksum_of(SNAPSHOT, COLUMNS)


def test_neither_a_further_column_nor_the_order_of_columns_changes_it() -> None:
    later = SNAPSHOT._replace(daily=(None, 9_000_000_000, 1.5, None))
    assert checksum_of(later, ("new", *reversed(COLUMNS[1:]), "older")) != checksum_of(SNAPSHOT, COLUMNS)
    assert checksum_of(later, ("new", "market_capitalization", "eps", "beta")) == checksum_of(SNAPSHOT, COLUMNS)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 63))
def test_a_flipped_bit_of_a_number_is_found(number: float, bit: int) -> None:
    (flipped,) = struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", number))[0] ^ (1 << bit)))
    sum_before = checksum_of(SNAPSHOT._replace(daily=(number, None, 1)), COLUMNS)
    assert not is_sound(SNAPSHOT._replace(daily=(flipped, None, 1)), COLUMNS, sum_before)
    assert -(2**31) <= sum_before < 2**31


def test_text_that_is_no_utf8_is_not_sound() -> None:
    assert not is_sound(SNAPSHOT._replace(extra='{"a": "\udcff"}'), COLUMNS, 0)

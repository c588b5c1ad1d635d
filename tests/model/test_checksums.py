"""Checksums: of all that identifies a snapshot and of its confirmations, whatever columns came later."""

import sqlite3
import struct
from contextlib import closing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.checksums import ADDED, Summed, checksum, sum_of, sum_of_confirmations

COLUMNS = ("eps", "beta", "market_capitalization")
SNAPSHOT = Summed("IBM", "2026-03-14T18:30:00.000Z", b"p" * 16, b"s" * 16, b"l" * 16, (1.5, None, 9_000_000_000), None)
CHANGES: dict[str, Any] = {
    "symbol": "IBN", "observed_at": "2026-03-14T18:30:00.001Z", "profile": b"q" * 16, "statement": b"q" * 16,
    "layout": b"q" * 16, "daily": (1.5, 0.0, 9_000_000_000), "extra": '{"New": "1"}',
}  # fmt: skip


def test_whatever_identifies_a_snapshot_is_in_its_checksum() -> None:
    assert CHANGES.keys() == set(Summed._fields)
    changed = [sum_of(SNAPSHOT._replace(**{name: value}), COLUMNS) for name, value in CHANGES.items()]
    assert len({sum_of(SNAPSHOT, COLUMNS), *changed}) == len(CHANGES) + 1


def test_the_value_of_one_column_in_another_changes_it() -> None:
    assert sum_of(SNAPSHOT._replace(daily=(None, 1.5, 9_000_000_000)), COLUMNS) != sum_of(SNAPSHOT, COLUMNS)


def test_neither_a_further_column_nor_the_order_of_columns_changes_it() -> None:
    later = SNAPSHOT._replace(daily=(None, 9_000_000_000, 1.5, None))
    assert sum_of(later, ("new", *reversed(COLUMNS[1:]), "older")) != sum_of(SNAPSHOT, COLUMNS)
    assert sum_of(later, ("new", "market_capitalization", "eps", "beta")) == sum_of(SNAPSHOT, COLUMNS)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 63))
def test_a_flipped_bit_of_a_number_is_found(number: float, bit: int) -> None:
    (flipped,) = struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", number))[0] ^ (1 << bit)))
    before, after = (sum_of(SNAPSHOT._replace(daily=(one, None, 1)), COLUMNS) for one in (number, flipped))
    assert checksum(before) != checksum(after)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=9), st.permutations(["a", "b", "c", "d"]))
def test_what_is_added_later_in_sql_makes_the_same_checksum(sums: list[int], confirmations: list[str]) -> None:
    sums.append(sum_of_confirmations("IBM", confirmations))
    with closing(sqlite3.connect(":memory:")) as db:
        kept = checksum(0)
        for one in sums:
            (kept,) = db.execute(f"SELECT {ADDED.format('?')} FROM (SELECT ? AS checksum)", (one, kept)).fetchone()
        (undone,) = db.execute(f"SELECT {ADDED.format('?')} FROM (SELECT ? AS checksum)", (-sum(sums), kept)).fetchone()
        (missing,) = db.execute(f"SELECT {ADDED.format('?')} FROM (SELECT NULL AS checksum)", (1,)).fetchone()

    assert kept == checksum(sum(sums))
    assert -(2**31) <= kept < 2**31
    assert (undone, missing) == (0, None)


def test_confirmations_are_a_symbols_own_and_in_any_order() -> None:
    assert sum_of_confirmations("IBM", ["a", "b"]) == sum_of_confirmations("IBM", ["b", "a"])
    assert sum_of_confirmations("IBM", ["a"]) != sum_of_confirmations("IBN", ["a"])
    assert sum_of_confirmations("IBM", []) == 0

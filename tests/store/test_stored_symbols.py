"""Stored symbols: those that have snapshots, similar ones for a typo, and batches that are small enough to read."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from pipeline.store.reader import NoData, open_for_reading
from pipeline.store.stored_symbols import SymbolNotFound, check_symbols, stored_symbols, symbol_batches
from tests.support.observations import Observed, database_of, seen, store_observations

SNAPSHOTS = {"AAPL": 3, "BRK-B": 1, "IBM": 200, "NONE": 0}


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database)) as writing, writing:
        writing.executemany(
            "INSERT INTO symbols (symbol, snapshots, last_overview) VALUES (?, ?, ?)",
            [(symbol, count, "2026-03-14T00:00:00.000Z" if count else None) for symbol, count in SNAPSHOTS.items()],
        )
    with open_for_reading(database) as reading:
        yield reading


def test_a_symbol_without_a_snapshot_is_not_stored(db: sqlite3.Connection) -> None:
    assert stored_symbols(db) == ["AAPL", "BRK-B", "IBM"]


def test_symbols_come_back_in_upper_case_sorted_and_once(db: sqlite3.Connection, database: Path) -> None:
    assert check_symbols(db, database, ["ibm", "aapl", "IBM"]) == ["AAPL", "IBM"]


@pytest.mark.parametrize(("wanted", "similar"), [("IBN", "IBM"), ("BRKB", "BRK-B"), ("AQZXW", "AAPL"), ("none", "")])
def test_an_unknown_symbol_is_named_with_similar_ones(
    db: sqlite3.Connection, database: Path, wanted: str, similar: str
) -> None:
    with pytest.raises(SymbolNotFound) as unknown:
        check_symbols(db, database, ["IBM", wanted])
    assert wanted.upper() in unknown.value.problem
    assert similar in str(unknown.value.remedy)
    assert "pipeline symbols" in str(unknown.value.remedy)


def test_a_symbol_that_is_not_utf_8_is_unknown_as_others_are(db: sqlite3.Connection, database: Path) -> None:
    with pytest.raises(SymbolNotFound, match=r"no snapshot of \\udcff\\udcfe"):
        check_symbols(db, database, ["\udcff\udcfe"])


def test_a_database_without_a_snapshot_has_no_data(database: Path) -> None:
    with open_for_reading(database) as db, pytest.raises(NoData) as nothing:
        check_symbols(db, database)
    assert str(database) in nothing.value.problem
    assert "pipeline collect" in str(nothing.value.remedy)


@pytest.mark.parametrize("statement", range(1, 7))
@pytest.mark.parametrize("earlier", [[], [seen(0, "IBM")]], ids=["the first of all", "another one"])
def test_a_first_snapshot_that_is_stored_meanwhile_does_not_look_like_damage(
    earlier: Sequence[Observed], statement: int
) -> None:
    database = database_of(earlier)
    begun: list[str] = []

    def store_before(sql: str) -> None:
        begun.append(sql)
        if len(begun) == statement:
            with ThreadPoolExecutor() as thread:  # SQLite calls this: it must not enter this thread's loop
                thread.submit(lambda: asyncio.run(store_observations(database, [seen(1, "PEP")]))).result()

    with open_for_reading(database) as db:
        db.set_trace_callback(store_before)
        with suppress(NoData, SymbolNotFound):  # or it is found
            check_symbols(db, database, ["PEP"])


def test_batches_hold_every_symbol_once_and_end_where_there_are_too_many_snapshots(database: Path) -> None:
    symbols = {f"S{number:03}": 1_000 for number in range(100)}
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany("INSERT INTO symbols (symbol, snapshots) VALUES (?, ?)", symbols.items())
    with open_for_reading(database) as db:
        years = list(symbol_batches(db, None, "", "2026-03-14T00:00:00.000Z"))
        one_day = list(symbol_batches(db, None, "2026-03-14", "2026-03-14T00:00:00.000Z"))
        chosen = list(symbol_batches(db, ["S099", "S001", "nowhere"], "", "2026-03-14"))

    assert [symbol for batch in years for symbol in batch] == list(symbols)
    assert all(len(batch) <= 20 for batch in years)
    assert one_day == [list(symbols)]
    assert chosen == [["S001", "S099"]]

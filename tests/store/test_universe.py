"""The universe: when each symbol was in the configured list, exactly, and written only when that changes."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files import path_text
from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.migrate import migrate
from pipeline.store.universe import record_list
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.database import earlier_migrations
from tests.support.observations import database_of
from tests.support.store import HOUR, at, note


def listed(names: str, configuration: Path | str = "") -> SymbolList:
    return SymbolList(str(configuration), tuple(map(Symbol, names.split())))


async def record(database: Path, *lists: tuple[float, SymbolList]) -> None:
    """Record lists, each at an hour."""
    async with open_writer(database) as writer:
        for hour, one in lists:
            await record_list(writer, one, at=START + hour * HOUR)


def intervals(database: Path) -> list[tuple[str, str, str | None]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT symbol, since, until FROM universe ORDER BY symbol, since").fetchall()


def configured(database: Path, hour: float) -> set[str]:
    """Return which symbols were configured at an hour."""
    return configured_by(intervals(database), hour)


def configured_by(found: list[tuple[str, str, str | None]], hour: float) -> set[str]:
    """Return which symbols were configured at an hour, by such intervals."""
    return {symbol for symbol, since, until in found if since <= at(hour) and (until is None or until > at(hour))}


async def test_each_change_of_the_list_is_an_interval(database: Path) -> None:
    await record(database, (0, listed("A B")), (1, listed("A B")), (2, listed("B C")), (3, listed("A B C")))

    assert intervals(database) == [
        ("A", at(0), at(2)),
        ("A", at(3), None),
        ("B", at(0), None),
        ("C", at(2), None),
    ]


async def test_a_list_that_is_the_same_writes_nothing(database: Path) -> None:
    many = SymbolList("", tuple(Symbol(f"S{number}") for number in range(12_000)))
    await record(database, (0, many))
    with closing(sqlite3.connect(database)) as db:
        (before,) = db.execute("PRAGMA data_version").fetchone()
        await record(database, (1, many), (2, many))
        (after,) = db.execute("PRAGMA data_version").fetchone()

    assert after == before


async def test_two_configurations_of_one_database_add_up(database: Path, tmp_path: Path) -> None:
    us, de = tmp_path / "us.toml", tmp_path / "de.toml"
    us.touch()
    de.touch()

    await record(database, (0, listed("A B", us)), (1, listed("B C", de)), (2, listed("A", us)), (3, listed("B C", de)))

    assert intervals(database) == [("A", at(0), None), ("B", at(0), at(2)), ("B", at(1), None), ("C", at(1), None)]


async def test_the_list_of_a_configuration_that_is_gone_ends(database: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.touch()
    await record(database, (0, listed("A B", old)))
    old.rename(new)
    await record(database, (1, listed("B C", new)))

    assert intervals(database) == [("A", at(0), at(1)), ("B", at(0), at(1)), ("B", at(1), None), ("C", at(1), None)]


async def test_a_configuration_whose_name_is_not_utf_8_is_found_or_gone(database: Path, tmp_path: Path) -> None:
    old, new = tmp_path / os.fsdecode(b"lat\xe9.toml"), tmp_path / "new.toml"
    old.touch()
    await record(database, (0, listed("A", path_text(old))), (1, listed("B", new)))
    assert intervals(database) == [("A", at(0), None), ("B", at(1), None)]

    old.unlink()
    await record(database, (2, listed("B", new)))

    assert intervals(database) == [("A", at(0), at(2)), ("B", at(1), None)]


async def test_a_list_from_variables_ends_once_a_file_has_one(database: Path, tmp_path: Path) -> None:
    await record(database, (0, listed("A")), (1, listed("B", tmp_path / "pipeline.toml")))

    assert intervals(database) == [("A", at(0), at(1)), ("B", at(1), None)]


async def test_what_a_clock_that_was_ahead_wrote_is_taken_back(database: Path) -> None:
    await record(database, (0, listed("A B")), (900, listed("B C")), (901, listed("C D")), (5, listed("C")))

    assert intervals(database) == [("A", at(0), at(5)), ("B", at(0), at(5)), ("C", at(5), None)]


NAMES = st.sets(st.sampled_from("ABCDE"), min_size=1).map(lambda names: " ".join(sorted(names)))


@given(lists=st.lists(st.tuples(st.integers(1, 9), NAMES), min_size=1, max_size=8))
def test_at_every_instant_those_are_configured_that_the_last_list_has(lists: list[tuple[int, str]]) -> None:
    database = database_of()
    hour = 0
    seen = []
    for step, names in lists:
        hour += step
        seen.append((hour, names))

    asyncio.run(record(database, *((at_hour, listed(names)) for at_hour, names in seen)))

    found = intervals(database)
    assert configured_by(found, 0) == set()
    for at_hour in range(1, hour + 2):
        expected = next((names for begins, names in reversed(seen) if begins <= at_hour), "")
        assert configured_by(found, at_hour) == set(expected.split())
    assert all(until is None or since < until for _, since, until in found)


@pytest.fixture
async def older(tmp_path: Path) -> Path:
    """A database from before lists were noted: A and B were requested, at hours 1 and 5."""
    path = tmp_path / "old.db"
    migrate(path, now=START, folder=earlier_migrations(tmp_path, 7))
    with closing(sqlite3.connect(path)) as db, db:
        for run, hour in ((1, 1), (2, 5)):
            db.execute("INSERT INTO runs (id, trigger, status) VALUES (?, 'schedule', 'complete')", (run,))
            for symbol in "AB":
                db.execute("INSERT INTO outcomes VALUES (?, ?, 'stored', 1, ?, NULL)", (run, symbol, at(hour)))
    migrate(path, now=START + 9 * HOUR)
    return path


async def test_before_lists_were_noted_requests_show_what_was_configured(older: Path) -> None:
    await record(older, (10, listed("A C")))

    assert configured(older, 0) == set()
    assert configured(older, 1) == configured(older, 5) == {"A", "B"}
    assert configured(older, 9) == {"A"}
    assert configured(older, 10) == {"A", "C"}
    await record(older, (11, listed("B C")))
    assert [one for one in intervals(older) if one[0] == "B"] == [
        ("B", at(1), at(5 + 1 / 3_600_000)), ("B", at(11), None),
    ]  # fmt: skip


async def test_a_request_for_a_symbol_that_is_not_listed_does_not_put_it_into_the_universe(database: Path) -> None:
    await record(database, (0, listed("PEP")))
    await note(database, Outcome.FAILED, START + HOUR)  # of IBM

    assert configured(database, 2) == {"PEP"}

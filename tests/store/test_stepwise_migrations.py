"""Migrations in Python: in small transactions, continued after a kill at any point; until then the file is refused."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Trouble
from pipeline.store import migration_steps
from pipeline.store.database import DatabaseError, connect
from pipeline.store.migrate import TRANSACTION_ROWS, Progress, migrate
from pipeline.store.migration_files import read_migrations
from pipeline.store.schema import HalfMigrated, check_schema
from tests.support.clocks import START
from tests.support.database import earlier_migrations, snapshots
from tests.support.kills import killed_at_statement, left_at_each_statement
from tests.support.migrations import DOUBLING, NUMBERS, TABLE, digests, with_positional_digests
from tests.support.observations import database_of, seen, store_observations, text

MOST_KILLS = 50
"""More than any migration here needs."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a folder with the migrations of the program before."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "0001_numbers.sql").write_text(TABLE)
    return folder


@pytest.fixture
def new(old: Path, tmp_path: Path) -> Path:
    """Return a folder that has one in Python too, and one after it."""
    folder = shutil.copytree(old, tmp_path / "new")
    (folder / "0002_doubling.py").write_text(DOUBLING)
    (folder / "0003_last.sql").write_text("CREATE TABLE last (a TEXT);\n")
    return folder


@pytest.fixture
def path(old: Path, tmp_path: Path) -> Path:
    path = tmp_path / "overviews.db"
    migrate(path, now=START, folder=old)
    return path


def content(path: Path) -> list[Any]:
    """Return all that is in the file."""
    with closing(sqlite3.connect(path)) as db:
        tables = sorted(name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        return [(name, db.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()) for name in tables]


def version(path: Path, folder: Path) -> int:
    """Return the version that a program with these migrations reads."""
    with connect(path, "ro") as db:
        return check_schema(db, path, read_migrations(folder))


def stopped_after(number: int) -> Callable[[Progress], None]:
    """Return what stops a migration after that many of its transactions."""
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == number:
            raise Trouble("stopped")

    return stop


def test_it_is_applied_in_a_transaction_for_each_batch_and_says_how_far_it_is(path: Path, new: Path) -> None:
    seen: list[tuple[str, int, int, bool]] = []

    migrate(
        path,
        now=START,
        folder=new,
        on_progress=lambda p: seen.append((p.migration.name, p.done, p.total, p.is_complete)),
    )

    total = len(NUMBERS) * TRANSACTION_ROWS
    batches = [("doubling", n * TRANSACTION_ROWS, total, False) for n in NUMBERS]
    assert seen == [*batches, ("doubling", total, total, True), ("last", 0, 0, True)]
    assert dict(content(path))["numbers"] == [(n, 2 * n, 1) for n in NUMBERS]


def test_the_one_after_a_continued_one_begins_at_its_beginning(path: Path, old: Path) -> None:
    (old / "0002_doubling.py").write_text(DOUBLING)
    (old / "0003_again.py").write_text("from tests.support.migrations import Double\n\nSTEPS = (Double(),)\n")
    with pytest.raises(Trouble):
        migrate(path, now=START, folder=old, on_progress=stopped_after(2))

    migrate(path, now=START, folder=old)

    assert dict(content(path))["numbers"] == [(n, 4 * n, 1) for n in NUMBERS]


def test_killed_at_any_statement_it_is_continued_and_the_file_is_refused_until_then(
    path: Path, old: Path, new: Path, tmp_path: Path
) -> None:
    before = content(path)
    half_done = 0
    copies = left_at_each_statement(path, tmp_path / "killed", partial(migrate, path, now=START, folder=new))
    for killed in copies:
        try:
            reached = version(killed, new)
        except HalfMigrated:
            half_done += 1
            with pytest.raises(DatabaseError, match="newer"):
                version(killed, old)
            with pytest.raises(DatabaseError, match="newer"):
                migrate(killed, now=START, folder=old)
        else:
            assert reached > 1 or content(killed) == before
        migrate(killed, now=START, folder=new)
        assert content(killed) == content(path)
    assert half_done >= len(NUMBERS)


@pytest.mark.process
def test_killed_again_and_again_it_comes_to_its_end(path: Path, new: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copy(path, tmp_path / "whole.db"))
    migrate(whole, now=START, folder=new)
    kills = 0

    while killed_at_statement(30, lambda: migrate(path, now=START, folder=new)):
        kills += 1
        assert kills < MOST_KILLS

    assert kills > 1
    assert content(path) == content(whole)


def test_a_half_migrated_file_says_how_far_it_is_and_what_to_do(path: Path, new: Path) -> None:
    with pytest.raises(Trouble, match="stopped"):
        migrate(path, now=START, folder=new, on_progress=stopped_after(2))

    with pytest.raises(HalfMigrated, match=r"from schema 1 to 2 \(20,000 of 40,000 rows\)") as refused:
        version(path, new)
    assert "pipeline migrate" in str(refused.value.remedy)


def test_a_migration_that_was_altered_while_it_was_half_done_is_refused(path: Path, new: Path) -> None:
    with pytest.raises(Trouble, match="stopped"):
        migrate(path, now=START, folder=new, on_progress=stopped_after(2))
    (new / "0002_doubling.py").write_text(f"{DOUBLING}\n# another\n")

    with pytest.raises(DatabaseError, match="made by migrations other than"):
        migrate(path, now=START, folder=new)


def test_a_step_that_fails_leaves_what_was_committed_and_is_tried_again(path: Path, new: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE done (in_the_way TEXT)")
    with pytest.raises(DatabaseError, match="done already exists"):
        migrate(path, now=START, folder=new)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE done")

    migrate(path, now=START, folder=new)

    assert dict(content(path))["numbers"] == [(n, 2 * n, 1) for n in NUMBERS]


@pytest.fixture
def before_names(tmp_path: Path) -> Path:
    """Return a database of schema 11, which had other digests."""
    path = tmp_path / "schema-11.db"
    with_positional_digests(database_of(OBSERVED), path, earlier_migrations(tmp_path, 11))
    return path


OBSERVED = [
    seen(0, Name="A", Sector="TECH", EBITDA="12", BookValue="3.5", PERatio="3"),
    seen(1, Name="A", Sector="None", EBITDA="None", BookValue="3.5", PERatio="4"),
    seen(2, Name="None", DividendDate="2026-03-14", PERatio="5", More="x"),
    seen(0, "MSFT", Name="None", Sector="TECH"),
]


def test_a_database_of_positional_digests_gets_those_of_names_and_no_further_snapshot(before_names: Path) -> None:
    new = database_of(OBSERVED)
    assert {one for _, _, one in digests(before_names)}.isdisjoint(one for _, _, one in digests(new))

    migrate(before_names, now=START)
    asyncio.run(store_observations(before_names, [*OBSERVED, seen(3, **OBSERVED[2].document or {})]))

    assert digests(before_names) == digests(new)
    assert snapshots(before_names, "IBM") == [(text(0), text(0)), (text(1), text(1)), (text(2), text(3))]


def test_the_new_digests_survive_a_kill_at_any_statement(
    before_names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_steps, "BATCH_ROWS", 1)
    monkeypatch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 1)
    expected = digests(database_of(OBSERVED))
    copies = left_at_each_statement(before_names, tmp_path / "killed", partial(migrate, before_names, now=START))
    assert len(copies) > len(expected)
    for killed in copies:
        migrate(killed, now=START)
        assert digests(killed) == expected


def test_a_new_database_gets_each_migration_in_one_transaction(new: Path, tmp_path: Path) -> None:
    (new / "0001_numbers.sql").write_text(TABLE.partition("INSERT")[0])
    (new / "0002_doubling.py").write_text(
        'from pipeline.store.migration_steps import Sql\nSTEPS = (Sql("CREATE TABLE a (b TEXT);"),) * 0\n'
    )
    seen: list[Progress] = []

    migrate(tmp_path / "new.db", now=START, folder=new, on_progress=seen.append)

    assert [progress.is_complete for progress in seen] == [True, True, True]

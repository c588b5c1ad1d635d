"""`pipeline migrate`, and what reads a database of an older version."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cli import readable
from pipeline.errors import ExitCode, Trouble
from pipeline.store.backup import backup
from pipeline.store.migrate import Progress, migrate, no_progress
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.older_schema import bring_up_to_date
from tests.support.clocks import START
from tests.support.commands import assert_refused, call
from tests.support.damaged import untyped
from tests.support.database import earlier_migrations

NEWEST = len(shipped_migrations())
READING = (
    ("status",), ("runs",), ("symbols",), ("plan",), ("history", "IBM"), ("as-of", "now"), ("changes",),
    ("vintages", "--all"), ("export", "--output", "x.csv"),
)  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a database as an earlier version left it, with one company in it, beside a configuration."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["IBM"]')
    path = tmp_path / "old.db"
    migrate(path, now=START, folder=earlier_migrations(tmp_path, 4))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("INSERT INTO profiles (id, digest, name) VALUES (1, x'01', 'A company')")
        db.execute("INSERT INTO statements (id, digest) VALUES (1, x'01')")
        db.execute("INSERT INTO layouts (id, digest, keys) VALUES (1, x'01', '[\"Symbol\",\"Name\"]')")
        db.execute("INSERT INTO symbols (symbol, state, last_look, snapshots) VALUES ('IBM', 'covered', ?, 1)", [AT])
        db.execute(
            "INSERT INTO snapshots (symbol, observed_at, profile_id, statement_id, layout_id) SELECT 'IBM', ?, 1, 1, 1",
            [AT],
        )
    return path


AT = "2026-03-14T18:30:00.000Z"


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_it_brings_the_database_up_to_date_after_a_backup_beside_it(old: Path, tmp_path: Path) -> None:
    ended = call(tmp_path, "--database", "old.db", "migrate", "--json")

    done = ended.json
    assert (ended.code, done["before"], done["after"]) == (ExitCode.DONE, 4, NEWEST)
    assert len(done["applied"]) == NEWEST - 4
    assert version(old) == NEWEST
    assert version(tmp_path / done["backup"]["file"]) == 4
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT count(*) FROM backups").fetchone() == (0,), "the copy is no backup"
    assert call(tmp_path, "--database", "old.db", "as-of", "now", "--format", "csv").out.count("IBM") == 1


def test_repeated_within_a_second_after_a_kill_it_makes_another_backup(old: Path, tmp_path: Path) -> None:
    killed_after = backup(old, tmp_path / "old-schema-4-2026-03-14T183000Z.db", now=START)

    done = bring_up_to_date(old, now=START, keeps_backup=True, on_progress=no_progress)

    assert version(killed_after.file) == 4
    assert done.backup is not None
    assert done.backup.file.name == "old-schema-4-2026-03-14T183000Z-2.db"
    assert version(old) == NEWEST


def test_it_does_nothing_to_a_database_that_is_up_to_date(old: Path, tmp_path: Path) -> None:
    call(tmp_path, "--database", "old.db", "migrate", "--no-backup")

    again = call(tmp_path, "--database", "old.db", "migrate")

    assert again.code == ExitCode.DONE
    assert "up to date" in again.out
    assert list(tmp_path.glob("*schema*")) == []


@pytest.fixture
def half(old: Path) -> Path:
    """Return the database, half migrated to the newest schema in Python."""

    def stop(progress: Progress) -> None:
        if progress.migration.is_stepwise and not progress.is_complete:
            raise Trouble("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 1)
        with pytest.raises(Trouble, match="stopped"):
            migrate(old, now=START, on_progress=stop)
    return old


def test_it_completes_a_migration_that_was_interrupted_without_a_backup_of_half_of_it(
    half: Path, tmp_path: Path
) -> None:
    done = call(tmp_path, "--database", "old.db", "migrate", "--json").json

    assert (done["after"], done["applied"][0], done["backup"]) == (NEWEST, "digests_by_name", None)
    assert call(tmp_path, "--database", "old.db", "as-of", "now", "--format", "csv").out.count("IBM") == 1


def test_a_half_migrated_database_is_answered_from_a_copy_or_refused(
    half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = half.read_bytes()

    assert call(tmp_path, "--database", "old.db", "as-of", "now", "--format", "csv").out.count("IBM") == 1
    monkeypatch.setattr(readable, "SMALL_BYTES", 1000)
    refused = call(tmp_path, "--database", "old.db", "as-of", "now")

    assert_refused(refused, ExitCode.FAILED, "from schema 11 to 12", "rows", "pipeline migrate")
    assert half.read_bytes() == before


def test_a_backup_of_a_half_migrated_database_is_completed_when_it_is_restored(half: Path, tmp_path: Path) -> None:
    assert call(tmp_path, "--database", "old.db", "backup", "half.db").code == ExitCode.DONE

    restored = call(tmp_path, "--database", "restored.db", "restore", "half.db")

    assert restored.code == ExitCode.DONE, restored.err
    assert call(tmp_path, "--database", "restored.db", "as-of", "now", "--format", "csv").out.count("IBM") == 1


@pytest.mark.parametrize("words", [("migrate",), ("restore", "old.db"), ("import", "nothing.jsonl"), ("status",)])
def test_a_migration_that_takes_long_is_shown(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 1)
    empty(tmp_path)
    database = "restored.db" if "restore" in words else "old.db"

    ended = call(tmp_path, "--database", database, *words)

    assert ended.code in (ExitCode.DONE, ExitCode.STALE), ended.err
    assert "migrating (digests_by_name): 2 rows" in ended.err


def test_collecting_completes_a_migration_that_was_interrupted(half: Path, tmp_path: Path) -> None:
    ended = call(tmp_path, "--database", "old.db", "import", str(empty(tmp_path)))

    assert ended.code == ExitCode.DONE, ended.err
    assert version(half) == NEWEST


def empty(folder: Path) -> Path:
    """Return an archive of nothing."""
    path = folder / "nothing.jsonl"
    path.touch()
    return path


def test_it_creates_nothing_where_there_is_no_database(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "--database", "absent.db", "migrate"), ExitCode.FAILED, "absent.db", "collect")
    assert not (tmp_path / "absent.db").exists()


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_question_to_an_older_database_is_answered_from_a_migrated_copy(
    old: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    before = old.read_bytes()

    ended = call(tmp_path, "--database", "old.db", *words)

    assert ended.code in (ExitCode.DONE, ExitCode.STALE)
    assert f"old.db has schema 4 of {NEWEST}" in ended.err
    assert "pipeline migrate" in ended.err
    assert old.read_bytes() == before


def test_what_is_whole_in_a_damaged_older_database_is_answered(old: Path, tmp_path: Path) -> None:
    whole = call(tmp_path, "--database", "old.db", "history", "IBM", "--format", "csv")
    with untyped(old) as db:
        db.execute("INSERT INTO symbols (symbol, state, last_look, snapshots) VALUES ('PEP', 'covered', ?, 1)", [AT])
        db.execute(
            "INSERT INTO snapshots (symbol, observed_at, eps, profile_id, statement_id, layout_id)"
            " VALUES ('PEP', ?, x'eda080', 1, 1, 1)",
            [AT],
        )

    assert call(tmp_path, "--database", "old.db", "history", "IBM", "--format", "csv") == whole
    assert_refused(call(tmp_path, "--database", "old.db", "migrate"), ExitCode.FAILED, "old.db", "damaged", "eps")
    assert version(old) == 4


def test_damage_that_stops_a_migration_is_named_with_the_database_and_not_its_copy(old: Path, tmp_path: Path) -> None:
    with untyped(old) as db:
        db.execute("UPDATE profiles SET name = x'ff'")

    for words in (["history", "IBM"], ["migrate", "--no-backup"]):
        ended = call(tmp_path, "--database", "old.db", *words)

        last = ended.err.splitlines()[-1]
        assert (ended.code, ended.out) == (ExitCode.FAILED, "")
        assert last.startswith("pipeline: old.db: damaged (non-TEXT value in profiles.name); restore a backup")
    assert version(old) == 11


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_large_older_database_is_copied_only_on_request(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(readable, "SMALL_BYTES", 1000)

    refused = call(tmp_path, "--database", "old.db", *words)
    asked = call(tmp_path, "--database", "old.db", *words, "--migrate-copy")

    assert_refused(refused, ExitCode.FAILED, f"older schema (4 of {NEWEST})", "pipeline migrate", "--migrate-copy")
    assert asked.code in (ExitCode.DONE, ExitCode.STALE)

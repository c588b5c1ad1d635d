"""Restore: a checked copy in the database's place, nothing lost of what was there, and the plan's limits still hold."""

import gzip
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError, ForeignDatabase, RecordGone
from pipeline.store.marker import LastRun, Marker, marker_path, read_marker, write_marker
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from pipeline.store.record import Begin, prepare
from pipeline.store.restore import LEDGER_UNKNOWN, Restored, restore
from tests.support.clocks import START
from tests.support.database import earlier_migrations
from tests.support.killed import killed_after_commit
from tests.support.observations import database_of, seen

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def text(hours: float) -> str:
    return instants.to_text(START + hours * HOUR)


def restored(
    file: Path, database: Path, *, is_idle: bool = False, window: timedelta = DAY, now: datetime = START
) -> Restored:
    return restore(file, database, longest_window=window, is_idle=is_idle, now=now)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def request(database: Path, symbol: str, hours: float, *, ended: bool = True, outcome: str = "stored") -> None:
    """Note in the ledger a request that was sent, and perhaps answered, hours from START."""
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO runs (trigger, status) VALUES ('manual', 'complete')")
        db.execute(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome)"
            " VALUES ((SELECT max(id) FROM runs), ?, 0, ?, ?, ?, ?)",
            (symbol, text(hours), text(hours), text(hours) if ended else None, outcome if ended else None),
        )


def ledger(database: Path) -> list[tuple[object, ...]]:
    return query(database, "SELECT symbol, reserved_at, finished_at IS NOT NULL FROM requests ORDER BY reserved_at")


def marker_of(database: Path) -> Marker:
    """Return the marker of the live database once it is restored: a copy that is older than this is noticed."""
    ((last_run, record),) = query(database, "SELECT seq, applied_at FROM sqlite_sequence, migrations WHERE version = 1")
    assert isinstance(last_run, int)
    return Marker(began_at=START - 9 * DAY, last_run=LastRun(id=last_run, record=str(record), state="restored"))


def spent(database: Path, now: datetime = START) -> int:
    """Return how many requests count in the window of a day."""
    with Reader.open(database) as reader:
        return len(reader.quota_state(now - DAY).spent)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Return the database to be replaced: with a snapshot, and two requests in its ledger, one still open."""
    path = tmp_path / "data" / "overviews.db"
    path.parent.mkdir()
    shutil.copy(database_of([seen(-30)]), path)
    write_marker(path, Marker(began_at=START - 9 * DAY))
    request(path, "OLD", -60)
    request(path, "IBM", -10)
    request(path, "PEP", -9, ended=False)
    return path


@pytest.fixture
def copy(live: Path, tmp_path: Path) -> Path:
    """Return a backup of the database, which has changed since."""
    backup(live, tmp_path / "copy.db", now=START)
    with closing(sqlite3.connect(live)) as db, db:
        db.execute("UPDATE requests SET finished_at = ?, outcome = 'failed' WHERE symbol = 'PEP'", (text(-8),))
    request(live, "KO", -2)
    request(live, "UNSENT", -1, outcome="unsent")
    with closing(sqlite3.connect(live)) as db, db:
        db.execute("CREATE TABLE since_the_backup (n)")
    return tmp_path / "copy.db"


def aside(database: Path) -> Path:
    """Return the one database that was moved aside."""
    (path,) = (one for one in database.parent.glob("*.replaced-*") if not one.name.endswith(("-wal", "-shm")))
    return path


def has(database: Path, table: str) -> bool:
    return bool(query(database, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))


def test_the_copy_is_in_place_and_what_was_there_is_kept_aside(live: Path, copy: Path) -> None:
    done = restored(copy, live)

    assert (done.snapshots, done.symbols, done.runs, done.newest_snapshot) == (1, 1, 3, text(-30))
    assert not has(live, "since_the_backup")
    assert done.replaced == aside(live) == live.with_name("overviews.db.replaced-2026-03-14T183000Z")
    assert has(aside(live), "since_the_backup")
    assert read_marker(live) == marker_of(live)
    assert [path.name for path in live.parent.glob("*.restoring*")] == []
    assert query(live, "PRAGMA integrity_check") == [("ok",)]
    assert live.stat().st_mode & 0o777 == 0o600


def test_requests_since_the_backup_count_in_the_restored_ledger(live: Path, copy: Path) -> None:
    before = spent(live)
    done = restored(copy, live)

    assert spent(live) == before == 3
    assert ledger(live) == [("OLD", text(-60), 1), ("IBM", text(-10), 1), ("PEP", text(-9), 1), ("KO", text(-2), 1)]
    assert done.carried == 2  # KO, and the end of PEP
    assert done.blocked_until is None


def test_a_clock_that_is_ahead_forgets_no_request_and_the_ledgers_time_is_carried_over(live: Path, copy: Path) -> None:
    with closing(sqlite3.connect(live)) as db, db:
        db.execute("INSERT INTO clock (id, at, boot, uptime) VALUES (1, ?, 'a boot', 1234.5)", (text(-2),))
    before = ledger(live)

    done = restored(copy, live, now=START + 30 * DAY)

    assert (done.carried, [row for row in before if row[0] != "UNSENT"]) == (2, ledger(live))
    assert query(live, "SELECT at, boot, uptime FROM clock") == [(text(-2), "a boot", 1234.5)]


def test_restored_twice_within_a_second_it_keeps_both_of_what_was_there(live: Path, copy: Path) -> None:
    first, second = restored(copy, live), restored(copy, live)

    assert second.carried == 2  # from the ledger of the one restored first
    assert spent(live) == 3
    assert first.replaced is not None
    assert second.replaced is not None
    assert has(first.replaced, "since_the_backup")
    assert not has(second.replaced, "since_the_backup")


def test_runs_after_a_restore_have_ids_that_were_never_used(live: Path, copy: Path) -> None:
    (last,) = query(live, "SELECT max(id) FROM runs")[0]
    for _ in range(2):
        restored(copy, live)
    request(live, "NEW", 0)

    assert query(live, "SELECT max(id) FROM runs") == [(int(str(last)) + 1,)]


def test_run_ids_of_the_backup_are_not_used_again_either(live: Path, copy: Path) -> None:
    begin_another(live)
    restored(copy, live)
    request(live, "NEW", 0)

    assert query(live, "SELECT max(id) FROM runs") == [(4,)]


def test_what_is_only_in_the_log_of_a_killed_process_is_carried_over_too(live: Path, copy: Path) -> None:
    killed_after_commit(live, live.with_name("killed.db"))
    for suffix in ("", "-wal"):
        live.with_name(f"killed.db{suffix}").replace(live.with_name(f"overviews.db{suffix}"))

    restored(copy, live)

    assert spent(live) == 3
    assert len(query(aside(live), "SELECT 1 FROM runs")) == 6


def block_of(done: Restored) -> tuple[bool, str | None]:
    return done.blocked_until is not None and done.blocked_until >= instants.to_text(START + DAY), done.blocked_reason


def vanish(live: Path) -> None:
    live.unlink()


def damage(live: Path) -> None:
    """Overwrite a page, as a dying disk would: only what is on it cannot be read any more."""
    ((size,),) = query(live, "PRAGMA page_size")
    ((page,),) = query(live, "SELECT rootpage FROM sqlite_master WHERE name = 'snapshots'")
    content = bytearray(live.read_bytes())
    start, length = (int(str(page)) - 1) * int(str(size)), int(str(size))
    content[start : start + length] = b"\xa5" * length
    live.write_bytes(content)


def scramble(live: Path) -> None:
    live.write_bytes(b"no database" * 1_000)


def empty(live: Path) -> None:
    live.write_bytes(b"")


def begin_another(live: Path) -> None:
    live.unlink()
    marker_path(live).unlink()
    prepare(live, Begin.FIRST, longest_window=DAY, now=START - HOUR)


@pytest.mark.parametrize("happens", [vanish, damage, scramble, empty, begin_another])
def test_where_the_requests_since_the_backup_are_not_known_none_is_sent_for_the_longest_window(
    live: Path, copy: Path, happens: Callable[[Path], None]
) -> None:
    happens(live)
    assert block_of(restored(copy, live)) == (True, LEDGER_UNKNOWN)
    assert block_of(restored(copy, live)) == (True, LEDGER_UNKNOWN)  # restoring again does not lift it
    assert restored(copy, live, is_idle=True).blocked_until is None


def test_of_a_missing_file_only_a_log_that_holds_something_is_kept(live: Path, copy: Path) -> None:
    live.unlink()
    for suffix, content in {"-wal": b"", "-shm": bytes(32_768)}.items():
        live.with_name(f"overviews.db{suffix}").write_bytes(content)
    assert restored(copy, live).replaced is None
    assert [*live.parent.glob("*.replaced-*")] == []

    live.unlink()
    live.with_name("overviews.db-wal").write_bytes(b"commits")
    live.with_name("overviews.db-shm").write_bytes(bytes(32_768))
    replaced = restored(copy, live).replaced
    assert [*live.parent.glob("*.replaced-*")] == [replaced]
    assert replaced is not None
    assert replaced.name == "overviews.db.replaced-2026-03-14T183000Z-wal"
    assert replaced.read_bytes() == b"commits"
    assert query(live, "PRAGMA integrity_check") == [("ok",)]


def test_a_plan_without_windows_is_not_blocked(live: Path, copy: Path) -> None:
    live.unlink()

    assert restored(copy, live, window=timedelta()).blocked_until is None


def test_the_word_of_the_api_that_the_quota_has_ended_is_carried_over(live: Path, copy: Path) -> None:
    with closing(sqlite3.connect(live)) as db, db:
        db.execute("INSERT INTO blocked (key, since, until) VALUES ('', ?, ?)", (text(-1), text(1)))

    done = restored(copy, live, is_idle=True)
    assert (done.blocked_until, done.blocked_reason) == (text(1), None)

    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("INSERT INTO blocked (key, since, until) VALUES ('', ?, ?)", (text(-1), text(2)))
    assert restored(copy, live).blocked_until == text(2)


def test_a_copy_that_was_put_beside_a_foreign_log_by_hand_is_replaced_with_its_log(live: Path, copy: Path) -> None:
    killed_after_commit(live, live.with_name("killed.db"))
    live.with_name("killed.db-wal").replace(live.with_name("overviews.db-wal"))
    shutil.copy(copy, live)

    done = restored(copy, live)

    assert block_of(done) == (True, LEDGER_UNKNOWN)
    assert aside(live).read_bytes() == copy.read_bytes()
    assert aside(live).with_name(f"{aside(live).name}-wal").exists()
    with Reader.open(live) as reader:
        assert reader.runs(9)


# What is refused, and leaves everything as it was


def gzipped(copy: Path) -> None:
    copy.write_bytes(gzip.compress(copy.read_bytes()))


def of_another_program(copy: Path) -> None:
    copy.unlink()
    with closing(sqlite3.connect(copy)) as db:
        db.execute("CREATE TABLE theirs (n)")


def of_a_newer_version(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize(
    ("happens", "problem"),
    [
        (vanish, r"copy\.db does not exist"),
        (empty, r"copy\.db is empty"),
        (scramble, r"copy\.db: not a database"),
        (gzipped, r"copy\.db: not a database"),
        (damage, r"copy\.db.* damaged"),
        (of_another_program, r"copy\.db belongs to another program"),
        (of_a_newer_version, r"copy\.db was written by a newer"),
    ],
)
def test_what_is_no_whole_backup_of_ours_is_refused(
    live: Path, copy: Path, happens: Callable[[Path], None], problem: str
) -> None:
    happens(copy)
    before = {path.name: path.read_bytes() for path in live.parent.iterdir()}

    with pytest.raises(DatabaseError, match=problem):
        restored(copy, live)

    assert {path.name: path.read_bytes() for path in live.parent.iterdir()} == before


def test_the_database_is_not_restored_from_itself(live: Path) -> None:
    with pytest.raises(DatabaseError, match="is the database itself"):
        restored(live, live)


@pytest.mark.parametrize("marked", [False, True])
def test_a_folder_is_moved_aside_only_where_a_record_was_kept(tmp_path: Path, copy: Path, *, marked: bool) -> None:
    """Where none was, it was named by mistake."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious").touch()
    if marked:
        write_marker(folder, Marker(began_at=START))
        assert [path.name for path in (restored(copy, folder).replaced or folder).iterdir()] == ["precious"]
        assert folder.is_file()
        return

    with pytest.raises(DatabaseError, match="folder is a folder: name a file in it"):
        restored(copy, folder)

    assert (folder / "precious").exists()


def test_a_database_of_another_program_is_not_replaced(live: Path, copy: Path) -> None:
    of_another_program(live)

    with pytest.raises(ForeignDatabase):
        restored(copy, live)

    assert has(live, "theirs")


def test_a_backup_of_an_older_version_is_brought_up_to_date_and_stays_as_it_is(live: Path, old_copy: Path) -> None:
    before = old_copy.read_bytes()
    restored(old_copy, live)

    with Reader.open(live) as reader:
        assert reader.runs(1) == []
    assert old_copy.read_bytes() == before


@pytest.fixture
def old_copy(tmp_path: Path) -> Path:
    """Return a backup that the first version made."""
    migrate(tmp_path / "old.db", now=START, folder=earlier_migrations(tmp_path, 1))
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    return tmp_path / "old.db"


# Killed at any instant


class Killed(BaseException):
    """The process dies here."""


def dies_at(number: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process die after it has renamed that many files."""
    left = iter(range(number))

    def counted(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def dying(self: Path, target: Path) -> Path:
            if next(left, None) is None:
                raise Killed
            return rename(self, target)

        return dying

    for method in (Path.rename, Path.replace):
        patch.setattr(Path, method.__name__, counted(method))


@pytest.mark.parametrize("renames", range(7))
def test_killed_at_any_step_the_old_database_or_the_new_one_is_there_or_the_next_restore_goes_on(
    live: Path, copy: Path, renames: int
) -> None:
    killed_after_commit(live, live.with_name("killed.db"))
    for suffix in ("", "-wal"):
        live.with_name(f"killed.db{suffix}").replace(live.with_name(f"overviews.db{suffix}"))
    live.with_name("overviews.db.restoring").write_bytes(b"what a killed restore left")
    with pytest.MonkeyPatch.context() as patch:
        dies_at(renames, patch)
        with suppress(Killed):
            restored(copy, live)
            assert renames == 6  # the last one: it died at each of the others

    if live.exists():
        assert not prepare(live, Begin.FIRST, longest_window=DAY, now=START)
        assert read_marker(live) in (Marker(began_at=START - 9 * DAY), marker_of(live))
    else:
        with pytest.raises(RecordGone, match=r"restore was interrupted; repeat it"), Reader.open(live):
            pass
        with pytest.raises(RecordGone, match=r"restore was interrupted; repeat it"):
            prepare(live, Begin.FIRST, longest_window=DAY, now=START)
    done = restored(copy, live)

    assert done.blocked_until is None
    assert spent(live) == 3
    assert read_marker(live) == marker_of(live)
    if renames in (2, 3, 4):
        assert done.replaced is not None
        assert len(query(done.replaced, "SELECT 1 FROM runs")) == 6
    kept = [path for path in live.parent.glob("*.replaced-*") if not path.name.endswith(("-wal", "-shm"))]
    assert any(len(query(path, "SELECT 1 FROM runs")) == 6 for path in kept)  # the sixth was in the log only

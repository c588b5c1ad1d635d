"""Links that somebody planted at the names of our own files: what they lead to is neither written nor replaced."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.monitoring import heartbeat
from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError, beside, connect
from pipeline.store.marker import Marker, read_marker, write_marker
from pipeline.store.restore import restore
from tests.support.clocks import START as NOW


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    return path


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("mode", ["ro", "rw"])
@pytest.mark.parametrize("leads", ["somewhere", "nowhere"])
def test_sqlite_follows_no_link_beside_the_database(
    database: Path, precious: Path, suffix: str, mode: str, leads: str
) -> None:
    link = beside(database, suffix)
    link.unlink(missing_ok=True)
    link.symlink_to(precious if leads == "somewhere" else precious.with_name("absent"))

    with pytest.raises(DatabaseError, match=rf"{suffix} is a link.*remove it"), connect(database, mode):
        pass

    assert precious.read_bytes() == b"precious"
    assert not precious.with_name("absent").exists()


def test_a_link_to_the_database_stays_one(database: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(database)

    with connect(tmp_path / "link.db", "rw") as db:
        db.execute("INSERT INTO looks VALUES ('IBM', '2026')")

    assert (tmp_path / "link.db").is_symlink()


def test_the_marker_is_written_in_place_of_a_link(database: Path, precious: Path) -> None:
    beside(database, ".record").unlink(missing_ok=True)
    beside(database, ".record").symlink_to(precious)

    write_marker(database, Marker(began_at=NOW))

    assert precious.read_bytes() == b"precious"
    assert read_marker(database) == Marker(began_at=NOW)


def test_a_restore_follows_no_link_at_its_temporary_names(database: Path, precious: Path, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy.db", now=NOW)
    for suffix in ("", "-wal", "-shm", "-journal"):
        beside(database, f".restoring{suffix}").symlink_to(precious)

    restore(tmp_path / "copy.db", database, longest_window=timedelta(days=1), is_idle=True, now=NOW)

    assert precious.read_bytes() == b"precious"
    assert not database.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_to_the_owner_of_the_folder_no_file_that_a_link_there_leads_to(
    database: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ours = tmp_path_factory.mktemp("ours")
    backup(database, ours / "copy.db", now=NOW)
    os.chown(database.parent, _NOBODY, _NOBODY)
    beside(database, ".daemon.lock").symlink_to(ours / "copy.db")

    restore(ours / "copy.db", database, longest_window=timedelta(days=1), is_idle=True, now=NOW)

    assert database.stat().st_uid == _NOBODY
    assert (ours / "copy.db").stat().st_uid == 0


_NOBODY = 65534


@pytest.mark.parametrize("leads", ["somewhere", "nowhere"])
def test_a_backup_takes_no_link_for_a_free_name(database: Path, precious: Path, tmp_path: Path, leads: str) -> None:
    (tmp_path / "copy.db").symlink_to(precious if leads == "somewhere" else precious.with_name("absent"))

    with pytest.raises(DatabaseError, match="exists"):
        backup(database, tmp_path / "copy.db", now=NOW)

    assert precious.read_bytes() == b"precious"
    assert (tmp_path / "copy.db").is_symlink()


def test_the_heartbeat_is_written_in_place_of_a_link(database: Path, precious: Path) -> None:
    heartbeat.heartbeat_path(database).symlink_to(precious)

    heartbeat.write(
        database,
        heartbeat.Heartbeat(pid=1, started_at=NOW, at=NOW, state=heartbeat.DaemonState.IDLE, silent_seconds=0),
    )

    assert precious.read_bytes() == b"precious"
    assert heartbeat.read(database) is not None

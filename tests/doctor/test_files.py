"""Checks of the files: the file system that they are on, and who else can read them."""

import os
from pathlib import Path

import pytest

from pipeline.doctor import files as module
from pipeline.doctor.checkup import findings
from pipeline.doctor.files import check_file_system, check_leftovers, check_names
from pipeline.doctor.findings import Level
from pipeline.files import is_locked
from pipeline.monitoring.checks import Kind
from pipeline.partials import partial_file
from pipeline.settings.environment import API_KEY, with_dotenv
from pipeline.settings.load import Settings
from pipeline.store.database import beside
from pipeline.store.lock import lock_path
from tests.support.checkups import Examined
from tests.support.clocks import START


def test_files_that_others_can_reach_are_noted(examined: Examined, database: Path, tmp_path: Path) -> None:
    for path in (database, lock_path(database), tmp_path / ".env"):
        path.touch()
        path.chmod(0o640)
        found = examined()[Kind.MODES]
        path.chmod(0o600)

        assert found.level is Level.NOTE
        assert str(path.name) in found.found
        assert (found.remedy or "").startswith("chmod 600 ")
    assert Kind.MODES not in examined()


def test_a_file_with_a_second_name_is_a_problem(examined: Examined, database: Path, tmp_path: Path) -> None:
    os.link(database, tmp_path / "second.db")
    found = examined()[Kind.FILE_SYSTEM]
    assert found.level is Level.PROBLEM
    assert "2 names" in found.found
    assert f"find -inum {database.stat().st_ino}" in (found.remedy or "")


def test_a_folder_has_no_names_to_count(tmp_path: Path) -> None:
    """It has a link from itself, and one from each folder in it."""
    (tmp_path / "x.db").mkdir()

    assert [*check_names(tmp_path / "x.db")] == []


def test_a_file_that_is_mounted_without_its_folder_is_a_problem(database: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/root rw\n30 27 254:0 /x {database} rw - ext4 /dev/root rw\n")
    found, *_ = check_file_system(database, table=mounts)
    assert (found.level, found.remedy) == (Level.PROBLEM, "mount its folder")


def test_a_dotenv_that_others_can_read_is_said_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{API_KEY}=S3CR3TK3YS3CR3TK")
    dotenv.chmod(0o644)

    found = findings(settings, with_dotenv({}, Path(".env")), now=START, thorough=False)

    (only,) = (one for one in found if one.remedy == "chmod 600 .env")
    assert only.level is Level.PROBLEM


@pytest.mark.parametrize(
    ("kind", "level", "word"),
    [
        ("ext4", Level.OK, "ext4, mounted at "),
        ("nfs4", Level.PROBLEM, "network"),
        ("cifs", Level.PROBLEM, "network"),
        ("virtiofs", Level.NOTE, "locks"),
        ("9p", Level.NOTE, "locks"),
        ("fuse.mergerfs", Level.NOTE, "locks"),
        ("tmpfs", Level.NOTE, "memory"),
    ],
)
def test_the_file_system_of_the_database_is_looked_at(tmp_path: Path, kind: str, level: Level, word: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/root rw\n31 27 0:44 / {tmp_path.resolve()} rw - {kind} x rw\n")

    (found,) = check_file_system(tmp_path / "later" / "overviews.db", table=mounts)

    assert (found.check, found.level) == (Kind.FILE_SYSTEM, level)
    assert kind in found.found
    assert word in found.found
    assert (found.remedy is None) == (level is Level.OK)


def test_without_a_table_of_mounts_it_says_that_it_did_not_look(tmp_path: Path) -> None:
    (found,) = check_file_system(tmp_path / "overviews.db", table=tmp_path / "absent")

    assert found.level is Level.NOTE
    assert "not looked at" in found.found


def test_what_killed_commands_left_is_noted_with_its_size(
    examined: Examined, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    folder = temporary / "pipeline-git.01234567.partial"
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (folder / "pack").write_bytes(b"x" * 1_500_000)
    (temporary / "other.01234567.partial").write_bytes(b"not ours")
    beside(database, ".restoring").write_bytes(b"x" * 500_000)
    (database.parent / "out.csv.01234567.partial").write_bytes(b"x" * 1_000_000)

    with partial_file(database.parent / "living.csv", 0o600):
        found = examined()[Kind.LEFTOVERS]

    assert found.level is Level.NOTE
    assert "3 leftovers of killed commands, 3.0 MB" in found.found
    assert all(name in found.found for name in ("pipeline-git", ".restoring", "out.csv"))


def test_what_a_restore_writes_that_ends_meanwhile_is_no_leftover(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    restoring = beside(database, ".restoring")
    restoring.touch()

    def then_ended(lock: Path) -> bool:
        restoring.unlink()  # the lock was held until just now
        return is_locked(lock)

    monkeypatch.setattr(module, "is_locked", then_ended)

    assert not [*check_leftovers(database)]


def test_nothing_is_said_where_nothing_is_left(
    examined: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert Kind.LEFTOVERS not in examined()

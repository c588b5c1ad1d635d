"""Checks of access: folders and files that a run could not write are found by opening them, with owner and remedy."""

import os
from pathlib import Path

import pytest

from pipeline.doctor.access import check_access, existing_folder
from pipeline.doctor.findings import Finding, Level
from pipeline.monitoring.checks import Kind
from pipeline.store.database import beside
from pipeline.store.lock import daemon_lock_path, lock_path
from tests.support.privileges import NOBODY, bound_by_modes

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def checked(database: Path) -> list[Finding]:
    with bound_by_modes():
        return list(check_access(database))


def test_a_folder_and_files_that_can_be_written_are_not_mentioned_and_stay_as_they_were(database: Path) -> None:
    lock_path(database).touch()
    before = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in database.parent.iterdir()}

    assert checked(database) == []
    assert {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in database.parent.iterdir()} == before


def test_a_database_that_does_not_exist_is_tried_in_the_folder_that_it_would_be_made_in(tmp_path: Path) -> None:
    assert existing_folder(tmp_path / "a" / "b" / "c.db") == tmp_path
    assert checked(tmp_path / "a" / "b" / "c.db") == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_write_permission_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "read only"
    folder.mkdir(mode=0o500)

    (found,) = checked(folder / "overviews.db")

    assert (found.check, found.level) == (Kind.ACCESS, Level.PROBLEM)
    assert found.found == f"{folder} cannot be written: permission denied"
    assert found.remedy == f"chmod u+rwx '{folder}'"


@AS_ROOT
def test_a_folder_of_another_user_is_a_problem_that_names_him_and_two_remedies(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, -1)

    (found,) = checked(folder / "overviews.db")

    assert found.found == f"{folder} cannot be written: permission denied; it belongs to nobody, and this is root"
    assert found.remedy == f"run as nobody, or: sudo chown root {folder}"


@AS_ROOT
@pytest.mark.parametrize("name", ["", "-wal", "-shm", ".lock", ".daemon.lock"])
def test_a_file_of_another_user_beside_the_database_is_a_problem(database: Path, name: str) -> None:
    path = beside(database, name)
    path.touch(mode=0o600)
    os.chown(path, NOBODY + 1, -1)

    (found,) = checked(database)

    assert str(path) in found.found
    assert f"it belongs to user {NOBODY + 1}" in found.found
    assert f"sudo chown root {path}" in (found.remedy or "")


def test_a_lock_that_may_not_be_written_is_a_problem(database: Path) -> None:
    for path in (lock_path(database), daemon_lock_path(database)):
        path.touch()
        path.chmod(0o400)

    assert [one.remedy for one in checked(database)] == [
        f"chmod u+rw {daemon_lock_path(database)}",
        f"chmod u+rw {lock_path(database)}",
    ]


def test_a_link_is_followed_to_where_the_files_are(tmp_path: Path, database: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o500)
    link = tmp_path / "link.db"
    link.symlink_to(elsewhere / "overviews.db")

    (found,) = checked(link)

    assert found.found.startswith(f"{elsewhere} cannot be written")


def test_a_folder_that_may_not_be_searched_is_passed_over(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0)

    (found,) = checked(closed / "inner" / "overviews.db")
    closed.chmod(0o700)

    assert found.remedy == f"chmod u+rwx {closed}"

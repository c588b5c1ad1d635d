"""Copies on a failing disk: a backup that could not be made one file is none."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.observations import empty_database
from tests.torture.interposed import WRITE, Interposed, missing

pytestmark = [pytest.mark.process, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

PROGRAM = """
from datetime import UTC, datetime
from pathlib import Path
from pipeline.store.backup import backup
backup(Path("overviews.db"), Path("copy.db"), now=datetime.now(UTC))
"""
WITHOUT_WAL = b"\1\1"
"""The versions of the format for writing and for reading, in the header of a database that needs no log."""


def backed_up(interposed: Interposed) -> bool:
    """Back up in a process, and return whether it says that it did."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=interposed.watched, env=interposed.variables, check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert not ended.returncode or "DatabaseError" in ended.stderr, ended.stderr
    return not ended.returncode


def test_a_copy_that_cannot_be_made_one_file_is_no_backup(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.copy(empty_database(), disk / "overviews.db")
    copy = disk / "copy.db"
    interposed = Interposed(tmp_path, disk)
    interposed.fail(WRITE, errno.EIO, 1_000_000)
    assert backed_up(interposed)
    assert copy.read_bytes()[18:20] == WITHOUT_WAL
    writes = interposed.matching
    copy.unlink()

    for number in range(writes - 3, writes + 1):
        interposed.fail(WRITE, errno.EIO, number, number)
        assert not backed_up(interposed), number
        assert interposed.failed == 1
        assert [*disk.glob("copy*")] == []

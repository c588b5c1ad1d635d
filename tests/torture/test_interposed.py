"""The library between a program and its files: it sees each change, and kills and fails by order."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.interposed import SYNC, WRITE, Interposed, missing

pytestmark = [pytest.mark.process, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

PROGRAM = """
import os, sqlite3, sys
os.mkdir("made")
with open("made/file", "wb", buffering=0) as file:
    file.write(b"abcd")
    file.seek(1)
    file.write(b"x")
    os.fsync(file.fileno())
os.rename("made/file", "file")
db = sqlite3.connect("db", isolation_level=None)
db.execute("CREATE TABLE t (a)")
db.close()
print("done", flush=True)
"""


@pytest.fixture
def interposed(tmp_path: Path) -> Interposed:
    (tmp_path / "disk").mkdir()
    return Interposed(tmp_path, tmp_path / "disk")


def run(interposed: Interposed) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=interposed.watched, env=interposed.variables, check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_it_records_what_python_and_sqlite_change_and_what_was_printed_meanwhile(interposed: Interposed) -> None:
    interposed.order(records=1)
    interposed.note("begin")
    assert run(interposed).returncode == 0

    found = interposed.recorded()
    assert [one.kind for one in found][:9] == [*"mdowwsnoo"]
    assert [(one.offset, one.data) for one in found if one.kind == WRITE][:2] == [(0, b"abcd"), (1, b"x")]
    assert {one.path for one in found if one.kind == "o"} >= {Path("made/file"), Path("db"), Path("db-journal")}
    assert any(one.data.startswith(b"SQLite format 3\0") for one in found)
    assert found[-1].data == b"done\n"
    assert interposed.changes > 10


def test_it_kills_before_a_change(interposed: Interposed) -> None:
    interposed.order(kill_at=3)

    assert run(interposed).returncode == -signal.SIGKILL
    assert (interposed.watched / "made/file").read_bytes() == b""


def test_it_tears_the_write_that_it_kills_at(interposed: Interposed) -> None:
    interposed.order(kill_at=3, is_torn=1)

    assert run(interposed).returncode == -signal.SIGKILL
    assert (interposed.watched / "made/file").read_bytes() == b"ab"


def test_it_lets_operations_fail(interposed: Interposed) -> None:
    interposed.fail(SYNC, errno.EIO, 1, 1)
    ended = run(interposed)

    assert "Input/output error" in ended.stderr
    assert interposed.failed == 1
    assert (interposed.watched / "made/file").read_bytes() == b"axcd"


def test_it_shortens_writes(interposed: Interposed) -> None:
    interposed.fail(WRITE, 0, 1, 1)
    run(interposed)

    assert (interposed.watched / "file").read_bytes() == b"ax"

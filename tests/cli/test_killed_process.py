"""A process that is killed in the middle of creating the database leaves nothing that another cannot use."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import NEEDED, call, environment

pytestmark = pytest.mark.process

_READERS = ("status", "runs", "symbols", "doctor", "health", "history", "as-of", "export", "backup")
_HALF_A_PAGE = 2048
_DIE_IN_THE_FIRST_PAGE = f"""
import resource, signal
from pipeline.cli.app import main
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, ({_HALF_A_PAGE}, {_HALF_A_PAGE}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
"""
"""Runs the command line; the system kills it when it writes past half of a page: the journal (512 bytes) is whole."""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Return a folder in which a first collect was killed while it switched the new database to WAL."""
    collect = ["-c", _DIE_IN_THE_FIRST_PAGE, "collect", "--sandbox", "-q", "--database", "data/overviews.db"]
    subprocess.run([sys.executable, "-B", *collect], cwd=tmp_path, env=environment(tmp_path), check=False, timeout=60)
    assert (tmp_path / "data" / "overviews.db").stat().st_size == _HALF_A_PAGE
    assert (tmp_path / "data" / "overviews.db-journal").stat().st_size > 0
    return tmp_path


def test_collect_succeeds_after_a_kill_while_the_database_was_created(killed: Path) -> None:
    ended = call(killed, "collect", "--sandbox", "--latency", "0", "--database", "data/overviews.db", "AAPL")

    assert ended.code == ExitCode.DONE, ended.err


def test_questions_work_after_a_kill_while_the_database_was_created(killed: Path) -> None:
    for command in _READERS:
        ended = call(killed, command, *NEEDED.get(command, []), "--database", "data/overviews.db")
        assert "read-only" not in ended.out + ended.err, command
        assert "modes" not in ended.out + ended.err, command

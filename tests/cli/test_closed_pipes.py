"""Readers that have gone: the output ends, but the work and its exit code are the same."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import PIPELINE, environment

pytestmark = pytest.mark.process

WORK = {
    "health": (["health"], ExitCode.STALE),
    "health as JSON": (["health", "--json"], ExitCode.STALE),
    "status": (["status"], ExitCode.STALE),
    "doctor": (["doctor", "--database", "damaged.db"], ExitCode.FAILED),
    "part of a collect": (
        ["collect", "--sandbox", "IBM", "QUVEX", "--max-requests", "1", "-v"],
        ExitCode.QUOTA,
    ),
    "collect -q": (["collect", "--sandbox", "IBM", "QUVEX", "--max-requests", "1", "-q"], ExitCode.QUOTA),
    "collect that cannot begin": (["collect", "IBM", "--database", "damaged.db"], ExitCode.FAILED),
    "import of a missing file": (["import", "x.jsonl", "--database", "x.db"], ExitCode.FAILED),
    "no such option": (["status", "--jsno"], ExitCode.USAGE),
    "an error of a question": (["history", "IBM"], ExitCode.FAILED),
    "run that cannot begin": (["run", "--database", "."], ExitCode.REFUSED),
}


def code_without_reader(folder: Path, *arguments: str, closed: tuple[str, ...]) -> int:
    """Return the exit code of a command that writes to pipes which nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [PIPELINE, *arguments],
            cwd=folder,
            env=environment(folder),
            check=False,
            timeout=60,
            stdout=writing if "stdout" in closed else subprocess.DEVNULL,
            stderr=writing if "stderr" in closed else subprocess.DEVNULL,
        ).returncode
    finally:
        os.close(writing)


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
@pytest.mark.parametrize(("arguments", "code"), WORK.values(), ids=WORK)
def test_the_exit_code_is_that_of_the_work(
    tmp_path: Path, arguments: list[str], code: int, closed: tuple[str, ...]
) -> None:
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    assert code_without_reader(tmp_path, *arguments, closed=closed) == code

"""Running a coroutine as a command: what still hangs when it is done does not delay the exit."""

from pathlib import Path

import pytest

from pipeline import __version__
from tests.support.commands import run_shell

HANGS = """
import asyncio, sys, threading
from pipeline.cli.app import main
from pipeline.cli.event_loop import run_async

async def look_up():
    begun = threading.Event()
    asyncio.get_running_loop().run_in_executor(None, lambda: (begun.set(), threading.Event().wait(600)))
    begun.wait()

run_async(look_up())
sys.argv = ["pipeline", "--version"]
main()
"""


@pytest.mark.process
def test_a_lookup_that_hangs_does_not_delay_the_exit(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)

    ended = run_shell(tmp_path, '"$PYTHON" hangs.py')

    assert ended.code == 0
    assert ended.out == f"pipeline, version {__version__}\n"

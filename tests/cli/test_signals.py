"""Signals stop a process, whatever hangs in it."""

import subprocess
import sys

import pytest

from pipeline.cli.commands import run
from pipeline.collect.halt import INTERRUPT_GRACE

STOPPED = """
import asyncio, os, signal, threading, time
from pipeline.cli.signals import stoppable

async def main():
    with stoppable(lambda: None, last_resort=0.05, exit_code=9):
        os.kill(os.getpid(), signal.SIGTERM)
        {hangs}

asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "hangs",
    [
        "time.sleep(600)",  # blocks the event loop
        "await asyncio.Event().wait()",
        "await asyncio.to_thread(threading.Event().wait)",  # cannot be cancelled
    ],
)
def test_whatever_hangs_the_process_ends_at_the_deadline(hangs: str) -> None:
    script = STOPPED.format(hangs=hangs)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (9, b"")


def test_the_daemons_deadline_leaves_time_for_requests_in_flight_and_comes_within_8_seconds() -> None:
    assert INTERRUPT_GRACE.total_seconds() < run._LAST_RESORT < 8

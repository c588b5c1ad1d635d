"""Signals stop a process, whatever hangs in it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from types import FrameType

import pytest

from pipeline.cli import signals, watchdog
from pipeline.collect.halt import INTERRUPT_GRACE
from pipeline.errors import ExitCode

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
    assert INTERRUPT_GRACE.total_seconds() < signals.LAST_RESORT < watchdog.GRACE.total_seconds() < 8


STUCK = """
import asyncio, collections, datetime, itertools, re, resource, time
from pipeline.cli import watchdog
from pipeline.cli.signals import stoppable

resource.setrlimit(resource.RLIMIT_CPU, (30, 30))  # should nothing else end it

def begin():
    print("begins", flush=True)

def match():
    begin()
    re.match(r"(a|aa)+$", "a" * 100 + "b")  # takes centuries

watchdog.start(grace=datetime.timedelta(seconds={grace}))

async def main():
    with stoppable(lambda: None, last_resort={last_resort}, exit_code=9):
        {hangs}

asyncio.run(main())
"""


def stopped(hangs: str, *signals: signal.Signals, grace: float = 0.1, last_resort: float = 0.05) -> tuple[int, str]:
    """Return the exit code and what was printed of a process that got signals while it was stuck."""
    script = STUCK.format(hangs=hangs, grace=grace, last_resort=last_resort)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in signals:
            process.send_signal(number)
        _, printed = process.communicate(timeout=60)
    return process.returncode, printed


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "hangs",
    [
        "match()",
        "await asyncio.to_thread(match)",
        "begin(); collections.deque(itertools.repeat(0), maxlen=0)",
    ],
)
def test_while_c_code_holds_pythons_lock_the_watchdog_kills_the_process(hangs: str, number: signal.Signals) -> None:
    code, printed = stopped(hangs, number)

    assert code == -signal.SIGKILL
    assert printed.startswith("pipeline: killed: ")
    assert "the main thread was in" in printed
    assert printed.count("\n") == 1


@pytest.mark.process
@pytest.mark.parametrize(
    ("hangs", "ends_with", "tries"),
    [
        # On a busy machine, the second may be handled before the thread has Python's lock: then it does not hang yet.
        ("await asyncio.to_thread(match)", -signal.SIGKILL, 5),
        ("begin(); print('x' * 10_000_000)", ExitCode.INTERRUPTED, 1),  # nobody reads it
    ],
)
def test_a_second_signal_ends_it_at_once_whatever_hangs(hangs: str, ends_with: int, tries: int) -> None:
    codes = [ended_by_two_signals(hangs)]
    while codes[-1] == ExitCode.INTERRUPTED != ends_with and len(codes) < tries:
        codes.append(ended_by_two_signals(hangs))
    assert codes[-1] == ends_with


def ended_by_two_signals(hangs: str) -> int:
    script = STUCK.format(hangs=hangs, grace=600, last_resort=600)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:  # one that comes while faulthandler writes of another is not written of
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
    return process.returncode


def test_a_signal_that_comes_while_the_first_is_handled_is_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    def interrupt(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == signals.__file__:
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGINT)

    async def get_both() -> None:
        monkeypatch.setattr(os, "_exit", ended.append)
        with signals.stoppable(lambda: None, last_resort=600, exit_code=9):
            sys.setprofile(interrupt)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)

    asyncio.run(get_both())

    assert ended == [ExitCode.INTERRUPTED]


@pytest.mark.process
def test_a_process_that_ends_in_time_is_left_alone() -> None:
    code, printed = stopped("begin(); time.sleep(600)", signal.SIGTERM, grace=600)
    assert (code, printed) == (9, "")

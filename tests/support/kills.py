"""Kills: a function run in a process of its own that gets SIGKILL at its n-th SQL statement."""

import os
import signal
import sqlite3
import traceback
import warnings
from collections.abc import Callable
from typing import Any

_connect = sqlite3.connect


def killed_at_statement(number: int, run: Callable[[], object]) -> bool:
    """Run a function in a child that is killed when SQLite begins its n-th statement. Return whether it was.

    False: the function ended before. Statements count from 1, over all connections.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a child of a process with threads: it takes no lock
        child = os.fork()
    if child == 0:
        _run_in_child(number, run)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed: its traceback is on stderr"
    return False


def _run_in_child(number: int, run: Callable[[], object]) -> None:
    left = number

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = _connect(*arguments, **options)
        db.set_trace_callback(count)
        return db

    try:
        sqlite3.connect = connect  # type: ignore[assignment]  # in this child only
        run()
    except BaseException:  # noqa: BLE001 - the child must not go on as the test
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

"""Kills: SIGKILL at the n-th SQL statement of a function, and what the files would be after a kill at any of them."""

import os
import signal
import sqlite3
import traceback
import warnings
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed import copy_files

_connect = sqlite3.connect


def killed_at_statement(number: int, run: Callable[[], object]) -> bool:
    """Run a function in a child that is killed when SQLite begins its n-th statement. Return whether it was.

    False: the function ended before. Statements count from 1, over all connections to files.
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


def left_at_each_statement(database: Path, folder: Path, run: Callable[[], object]) -> list[Path]:
    """Run a function, and return copies of the database as a kill at each of its statements would leave it.

    Copies that are equal, as most are that were made within one transaction, come once.
    """
    folder.mkdir()
    copies: dict[bytes, Path] = {}

    def copy(_statement: str) -> None:
        parts = [file.read_bytes() for file in _files(database) if file.exists()]
        target = folder / f"{len(copies)}.db"
        if copies.setdefault(blake2b(b"".join(parts)).digest(), target) is target:
            copy_files(database, target)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = _connect(*arguments, **options)
        if arguments[0] != ":memory:":
            db.set_trace_callback(copy)
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        run()
    copy("")
    return [*copies.values()]


def _files(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}{suffix}") for suffix in ("", "-journal", "-wal")]


def die_at_statement(number: int) -> None:
    """Let this process get SIGKILL when SQLite begins its n-th statement from now on."""
    left = number

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = _connect(*arguments, **options)
        if arguments[0] != ":memory:":
            db.set_trace_callback(count)
        return db

    sqlite3.connect = connect  # type: ignore[assignment]  # in a process that ends thereby


def _run_in_child(number: int, run: Callable[[], object]) -> None:
    try:
        die_at_statement(number)
        run()
    except BaseException:  # noqa: BLE001 - the child must not go on as the test
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

"""Locks: one collecting process at a time to a database, and one daemon; and a word on who holds each."""

import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.errors import ExitCode, Trouble, file_reason
from pipeline.files import PRIVATE_FILE
from pipeline.store.database import DatabaseError

_AGAIN = timedelta(seconds=0.1)
"""flock has no wait that ends: it is asked again this often."""


_GLANCES, _GLANCE = 20, 0.01
"""Whoever looks whether a daemon lives holds its lock for a moment: a start tries so often, so many seconds apart."""


class Busy(Trouble):
    """Another process is collecting into the same database, and did not end in time."""

    exit_code = ExitCode.BUSY


def lock_path(database: Path) -> Path:
    """Return the file that is locked. It stays when the lock goes: removing it would let two hold "the" lock."""
    return _beside(database, "lock")


def daemon_lock_path(database: Path) -> Path:
    """Return the file that the database's daemon keeps locked while it lives."""
    return _beside(database, "daemon.lock")


def _beside(database: Path, suffix: str) -> Path:
    real = database.resolve()  # by whatever link it is reached, as SQLite does
    return real.with_name(f"{real.name}.{suffix}")


@asynccontextmanager
async def hold_lock(
    database: Path,
    purpose: str,
    *,
    max_wait: timedelta | None,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
    on_wait: Callable[[str], None],
) -> AsyncIterator[None]:
    """Hold the database's lock. `waiting` hears once, in words, whom we wait for.

    Raise Busy, naming the holder, when it is not free within `max_wait` (None: wait as long as it takes). The system
    frees the lock of a process that dies, however it dies.
    """
    path = lock_path(database)
    with _file(path) as descriptor:
        await _acquire(path, descriptor, max_wait=max_wait, sleep=sleep, on_wait=on_wait)
        with _signed(descriptor, purpose, now()):
            yield


@contextmanager
def hold_daemon_lock(database: Path, *, now: datetime) -> Iterator[None]:
    """Be the database's daemon. Raise Busy at once, naming the other, if there is one."""
    path = daemon_lock_path(database)
    with _file(path) as descriptor:
        for _ in range(_GLANCES):
            if is_ours := _locked(path, descriptor):
                break
            time.sleep(_GLANCE)  # before there is a loop to hold up
        if not is_ours:
            raise Busy(f"another daemon runs on this database: {_holder(descriptor)}")
        with _signed(descriptor, "run", now):
            yield


def is_daemon_running(database: Path) -> bool:
    """Whether a daemon holds this database: whatever it said last, one that has died holds nothing."""
    try:
        descriptor = os.open(daemon_lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # none ever was, or it is not ours to look
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _file(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise DatabaseError(f"{path} cannot be made: {file_reason(error)}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _signed(descriptor: int, purpose: str, now: datetime) -> Iterator[None]:
    """Say in the file who holds it, while the block runs."""
    with suppress(OSError):  # a courtesy, for which a full disk has no room
        _sign(descriptor, purpose, now)
    yield
    with suppress(OSError):  # the same, on a disk that has become read-only
        os.ftruncate(descriptor, 0)


async def _acquire(
    path: Path,
    descriptor: int,
    *,
    max_wait: timedelta | None,
    sleep: Callable[[float], Awaitable[None]],
    on_wait: Callable[[str], None],
) -> None:
    left = timedelta.max if max_wait is None else max_wait
    is_told = False
    while not _locked(path, descriptor):
        if left <= timedelta():
            raise Busy(f"another process is collecting into this database: {_holder(descriptor)}")
        if not is_told:
            up_to = "" if max_wait is None else f"up to {max_wait.total_seconds():g} s "
            on_wait(f"waiting {up_to}for {_holder(descriptor)}")
            is_told = True
        await sleep(min(_AGAIN, left).total_seconds())
        left -= _AGAIN


def _locked(path: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseError(f"{path} cannot be locked: {file_reason(error)}") from None
    return True


def _sign(descriptor: int, purpose: str, now: datetime) -> None:
    signature = {"pid": os.getpid(), "purpose": purpose, "since": instants.to_text(now)}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(signature).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        signature = json.loads(os.pread(descriptor, 1000, 0))
        return f"{signature['purpose']}, process {signature['pid']}, since {signature['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has just begun"

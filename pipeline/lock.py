"""The lock: one collecting process at a time to a database, and a word on who holds it."""

import fcntl
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.database import PRIVATE_FILE, DatabaseError
from pipeline.outcome import ExitCode, Trouble

_AGAIN = timedelta(seconds=0.1)
"""flock has no wait that ends: it is asked again this often."""


class Busy(Trouble):
    """Another process is collecting into the same database, and did not end in time."""

    exit_code = ExitCode.BUSY


def lock_path(database: Path) -> Path:
    """Return the file that is locked. It stays when the lock goes: removing it would let two hold "the" lock."""
    real = database.resolve()  # by whatever link it is reached, as SQLite does
    return real.with_name(f"{real.name}.lock")


@asynccontextmanager
async def held(
    database: Path,
    purpose: str,
    *,
    patience: timedelta,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
    waiting: Callable[[str], None],
) -> AsyncIterator[None]:
    """Hold the database's lock. `waiting` hears once, in words, whom we wait for.

    Raise Busy, naming the holder, when it is not free within `patience`. The system frees the lock of a process that
    dies, however it dies.
    """
    path = lock_path(database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise DatabaseError(f"{path} cannot be made: {(error.strerror or str(error)).lower()}") from None
    try:
        await _acquire(path, descriptor, patience=patience, sleep=sleep, waiting=waiting)
        with suppress(OSError):  # a courtesy, for which a full disk has no room
            _sign(descriptor, purpose, now())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


async def _acquire(
    path: Path,
    descriptor: int,
    *,
    patience: timedelta,
    sleep: Callable[[float], Awaitable[None]],
    waiting: Callable[[str], None],
) -> None:
    left = patience
    while not _locked(path, descriptor):
        if left <= timedelta():
            raise Busy(f"another process is collecting into this database: {_holder(descriptor)}")
        if left == patience:
            waiting(f"waiting up to {patience.total_seconds():g} s for {_holder(descriptor)}")
        await sleep(min(_AGAIN, left).total_seconds())
        left -= _AGAIN


def _locked(path: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseError(f"{path} cannot be locked: {(error.strerror or str(error)).lower()}") from None
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

"""Locks: let one process at a time collect into a database, and one daemon run on it; each names its holder."""

import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pipeline import instants
from pipeline.decoding import decoder
from pipeline.errors import ExitCode, Trouble, Undecodable, file_reason
from pipeline.files import PRIVATE_FILE, is_locked, make_folder
from pipeline.store.database import DatabaseError, access_remedy, beside
from pipeline.text import cut, printable

_POLL_INTERVAL = timedelta(seconds=0.1)
"""flock cannot wait with a timeout, so it is tried this often."""
_DAEMON_TRIES, _DAEMON_PAUSE = 20, 0.01
"""`is_daemon_running` holds the daemon's lock for a moment, so a daemon that starts tries again: times, and seconds."""


class _Signature(msgspec.Struct):
    """What is in the file while the lock is held: who holds it, for people."""

    pid: int
    purpose: str
    since: str

    def __str__(self) -> str:
        return cut(printable(f"{self.purpose}, process {self.pid}, since {self.since}"), _LONGEST_SIGNATURE)


_decode_signature = decoder(_Signature)
_LONGEST_SIGNATURE = 100


class Busy(Trouble):
    """Another process holds the database, and did not end in time."""

    exit_code = ExitCode.BUSY


def lock_path(database: Path) -> Path:
    """Return the file that is locked. It is never removed: otherwise two processes could lock two files of one name."""
    return beside(database, ".lock")


def daemon_lock_path(database: Path) -> Path:
    """Return the file that the daemon of the database keeps locked while it runs."""
    return beside(database, ".daemon.lock")


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
    """Hold the database's lock; other processes see the `purpose`, such as `collect`.

    If it is taken, `on_wait` is called once with a line that names the holder. Raise Busy, which names it too, if the
    lock is not free within `max_wait` (None: wait without a limit). The system frees the lock of a process that dies.
    """
    path = lock_path(database)
    with _file(path) as descriptor:
        await _acquire(path, descriptor, max_wait=max_wait, sleep=sleep, on_wait=on_wait)
        with _signed(descriptor, purpose, now()):
            yield


@contextmanager
def hold_daemon_lock(database: Path, *, now: datetime) -> Iterator[None]:
    """Hold the daemon's lock of the database. Raise Busy, which names the other daemon, if one is running."""
    path = daemon_lock_path(database)
    with _file(path) as descriptor:
        for _ in range(_DAEMON_TRIES):
            if is_locked := _try_lock(path, descriptor):
                break
            time.sleep(_DAEMON_PAUSE)  # there is no event loop yet that it could block
        if not is_locked:
            raise Busy(f"another daemon runs on this database: {_holder(descriptor)}", remedy="stop it first")
        with _signed(descriptor, "run", now):
            yield


def is_daemon_running(database: Path) -> bool:
    """Return False if no daemon holds the lock of this database. Return True if one does, or if it cannot be known."""
    path = daemon_lock_path(database)
    # Where there is no file, there was never a daemon; where we may not open it, that is all we know.
    return not os.access(path, os.R_OK) or is_locked(path)


@contextmanager
def _file(path: Path) -> Iterator[int]:
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise DatabaseError(f"{path} cannot be written: {file_reason(error)}", remedy=access_remedy(error)) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _signed(descriptor: int, purpose: str, now: datetime) -> Iterator[None]:
    """Write into the file who holds the lock, while the block runs."""
    with suppress(OSError):  # only a hint for people: a full disk must not stop us
        _sign(descriptor, purpose, now)
    yield
    with suppress(OSError):  # the same for a disk that has become read-only
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
    has_reported = False
    while not _try_lock(path, descriptor):
        if left <= timedelta():
            raise Busy(
                f"another process is collecting into this database: {_holder(descriptor)}",
                remedy="wait until it has ended",
            )
        if not has_reported:
            up_to = "" if max_wait is None else f"up to {max_wait.total_seconds():g} s "
            on_wait(f"waiting {up_to}for {_holder(descriptor)}")
            has_reported = True
        await sleep(min(_POLL_INTERVAL, left).total_seconds())
        left -= _POLL_INTERVAL


def _try_lock(path: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseError(f"{path} cannot be locked: {file_reason(error)}") from None
    return True


def _sign(descriptor: int, purpose: str, now: datetime) -> None:
    signature = _Signature(pid=os.getpid(), purpose=purpose, since=instants.to_text(now))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(signature), 0)


def _holder(descriptor: int) -> str:
    try:
        return str(_decode_signature(os.pread(descriptor, 1000, 0)))
    except Undecodable:
        return "a process that has just started"

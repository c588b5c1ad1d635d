"""Locks: let one process at a time collect into a database, and one daemon run on it; each names its holder."""

import fcntl
import os
import stat
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
from pipeline.store.held_locks import LockFile, held, held_file
from pipeline.text import cut, printable

_POLL_INTERVAL = timedelta(seconds=0.1)
"""flock cannot wait with a timeout, so it is tried this often."""
_DAEMON = "run"
"""The daemon's purpose."""
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
    with _file(lock_path(database)) as file:
        await _acquire(file, max_wait=max_wait, sleep=sleep, on_wait=on_wait)
        with _holding(file, purpose, now()):
            yield


@contextmanager
def hold_daemon_lock(database: Path, *, now: datetime) -> Iterator[None]:
    """Hold the daemon's lock of the database. Raise Busy, which names the other daemon, if one is running."""
    with _file(daemon_lock_path(database)) as file:
        for _ in range(_DAEMON_TRIES):
            if is_locked := file.try_lock():
                break
            time.sleep(_DAEMON_PAUSE)  # there is no event loop yet that it could block
        if not is_locked:
            raise _second_daemon(file)
        with _holding(file, _DAEMON, now):
            yield


def keep_daemon_lock(database: Path, *, now: datetime) -> None:
    """Lock the daemon's lock again, if this process holds it and its file was removed or replaced since.

    Raise Busy, which names the other daemon, if one has locked it meanwhile.
    """
    file = held_file(daemon_lock_path(database))
    if file is None or file.is_in_place():
        return
    file.reopen()
    if not file.try_lock():
        raise _second_daemon(file)
    file.sign(_DAEMON, now)


def _second_daemon(file: LockFile) -> Busy:
    return Busy(f"another daemon runs on this database: {file.holder()}", remedy="stop it first")


def is_daemon_running(database: Path) -> bool:
    """Return False if no daemon holds the lock of this database. Return True if one does, or if it cannot be known."""
    path = daemon_lock_path(database)
    # Where there is no file, there was never a daemon; where we may not open it, that is all we know.
    return not os.access(path, os.R_OK) or is_locked(path)


def is_free(database: Path) -> bool:
    """Return True if no process holds the lock of this database. Return False if one does, or if it cannot be known."""
    path = lock_path(database)
    return os.access(path, os.R_OK) and not is_locked(path)


class _LockFile:
    """The file at a path, which this process may lock."""

    def __init__(self, path: Path) -> None:
        """Open it, or create it. Raise DatabaseError if that fails."""
        self._path = path
        self._descriptor = _open(path)

    @property
    def path(self) -> Path:
        """Its path, where others look for it."""
        return self._path

    def is_in_place(self) -> bool:
        """Return whether it is the one that others find at its path."""
        ours = os.fstat(self._descriptor)
        try:
            there = self._path.lstat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def reopen(self) -> None:
        """Open, or create, the file that is at the path now."""
        descriptor = _open(self._path)
        os.close(self._descriptor)
        self._descriptor = descriptor

    def try_lock(self) -> bool:
        """Lock the file that is at the path now. Return whether that worked: False if another process has it."""
        while self._try_lock():
            if self.is_in_place():
                return True
            self.reopen()  # it was removed or replaced while another process held it
        return False

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise DatabaseError(f"{self._path} cannot be locked: {file_reason(error)}") from None
        return True

    def sign(self, purpose: str, now: datetime) -> None:
        """Write into the file who holds the lock."""
        signature = _Signature(pid=os.getpid(), purpose=purpose, since=instants.to_text(now))
        with suppress(OSError):  # only a hint for people: a full disk must not stop us
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, msgspec.json.encode(signature), 0)

    def clear(self) -> None:
        """Write into the file that nobody holds the lock."""
        with suppress(OSError):  # the same for a disk that has become read-only
            os.ftruncate(self._descriptor, 0)

    def holder(self) -> str:
        """Return who holds the lock, as that process has written."""
        try:
            return str(_decode_signature(os.pread(self._descriptor, 1000, 0)))
        except Undecodable:
            return "a process that has just started"

    def close(self) -> None:
        """Close the file, which unlocks it."""
        os.close(self._descriptor)


def _open(path: Path) -> int:
    """Open the file, or create it; no link is followed, as it could lead to a file of somebody else's."""
    try:
        make_folder(path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, PRIVATE_FILE)
    except OSError as error:
        if path.is_symlink():
            raise DatabaseError(f"{path} is a link, which is not followed", remedy="remove it") from None
        raise DatabaseError(f"{path} cannot be written: {file_reason(error)}", remedy=access_remedy(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DatabaseError(f"{path} is not a regular file", remedy="remove it")
    return descriptor


@contextmanager
def _file(path: Path) -> Iterator[_LockFile]:
    file = _LockFile(path)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def _holding(file: _LockFile, purpose: str, now: datetime) -> Iterator[None]:
    """Have it known, here and in the file, that this process holds the lock, while the block runs."""
    file.sign(purpose, now)
    try:
        with held(file.path, file):
            yield
    finally:
        file.clear()


async def _acquire(
    file: _LockFile,
    *,
    max_wait: timedelta | None,
    sleep: Callable[[float], Awaitable[None]],
    on_wait: Callable[[str], None],
) -> None:
    left = timedelta.max if max_wait is None else max_wait
    has_reported = False
    while not file.try_lock():
        if left <= timedelta():
            raise Busy(
                f"another process is collecting into this database: {file.holder()}",
                remedy="wait until it has ended",
            )
        if not has_reported:
            up_to = "" if max_wait is None else f"up to {max_wait.total_seconds():g} s "
            on_wait(f"waiting {up_to}for {file.holder()}")
            has_reported = True
        await sleep(min(_POLL_INTERVAL, left).total_seconds())
        left -= _POLL_INTERVAL

"""Partial files and folders: what is being written, beside its target, and locked while its process lives.

A process that was killed leaves one. The next process that writes the same target removes it, as its lock is free.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

_ENDING = r"\.[0-9a-f]{8}\.partial"
_SQLITE_ENDINGS = ("-journal", "-wal", "-shm")
"""Of what SQLite keeps beside a partial database."""
_TRIES = 10
_PRIVATE_FOLDER = 0o700
_SCRATCH = "pipeline-"
"""What the names of scratch folders begin with."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A partial file or folder of this process: its path, and the descriptor that holds its lock."""

    path: Path
    descriptor: int


@contextmanager
def partial_file(target: Path, mode: int) -> Iterator[Partial]:
    """Yield a new empty file beside the target; unless the block has renamed it, remove it.

    The partial files that dead processes left of the same target are removed. Raise OSError.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY
    remove_abandoned(target)
    partial = _claim(target, lambda path: os.open(path, flags, mode))
    try:
        yield partial
    finally:
        try:
            _remove_file(partial.path)
        finally:
            os.close(partial.descriptor)


@contextmanager
def partial_folder(target: Path) -> Iterator[Partial]:
    """Yield a new private folder beside the target; unless the block has renamed it, remove it, as `partial_file`."""
    remove_abandoned(target)
    partial = _claim(target, _new_folder)
    try:
        yield partial
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(partial.path)
        os.close(partial.descriptor)


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield a new private folder among the temporary files, remove it after the block, and those of dead processes."""
    with partial_folder(Path(gettempdir()) / f"{_SCRATCH}{name}") as partial:
        yield partial.path


def remove_abandoned(target: Path) -> None:
    """Remove the partial files and folders of a target whose processes are dead, as far as that can be done."""
    for path in _matching(target.parent, re.compile(re.escape(target.name) + _ENDING)):
        remove_if_abandoned(path)


def remove_if_abandoned(path: Path) -> bool:
    """Remove one of this program's partial files or folders if its process is dead. Return whether it is removed."""
    with suppress(OSError), _unlocked(path) as is_abandoned:
        if is_abandoned and path.is_dir():
            shutil.rmtree(path)
        elif is_abandoned:
            _remove_file(path)
        return is_abandoned
    return False


def _remove_file(path: Path) -> None:
    """Remove a partial file, if it is there, after what SQLite keeps beside it: nobody looks for that alone."""
    if os.path.lexists(path):
        for ending in (*_SQLITE_ENDINGS, ""):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)


def abandoned(folder: Path) -> list[Path]:
    """Return the partial files and folders in a folder that dead processes left."""
    return [path for path in _matching(folder, re.compile(rf".+{_ENDING}")) if _is_abandoned(path)]


def abandoned_scratch() -> list[Path]:
    """Return the scratch folders that dead processes left."""
    return [path for path in abandoned(Path(gettempdir())) if path.name.startswith(_SCRATCH)]


def _claim(target: Path, make: Callable[[Path], int]) -> Partial:
    """Make a file or folder of a new name, and lock it before another process can take it for abandoned."""
    for _ in range(_TRIES):
        path = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
        try:
            descriptor = make(path)
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise
            continue  # another process took the folder for abandoned before we could open it
        if _lock(descriptor) is not False and _is_at(path, descriptor):
            return Partial(path, descriptor)
        os.close(descriptor)
    raise BlockingIOError


def _new_folder(path: Path) -> int:
    path.mkdir(mode=_PRIVATE_FOLDER)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _lock(descriptor: int) -> bool | None:
    """Return whether the lock could be taken, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _matching(folder: Path, name: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(found for found in folder.iterdir() if name.fullmatch(found.name))
    except OSError:
        return []


def _is_abandoned(path: Path) -> bool:
    with suppress(OSError), _unlocked(path) as is_abandoned:
        return is_abandoned
    return False


@contextmanager
def _unlocked(path: Path) -> Iterator[bool]:
    """Yield whether this is a file or folder of this user's that no process holds, and hold it meanwhile.

    No link is followed, and nothing that could block is opened. Raise OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        is_ours = (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)) and status.st_uid == os.geteuid()
        yield is_ours and _lock(descriptor) is True and _is_at(path, descriptor)
    finally:
        os.close(descriptor)

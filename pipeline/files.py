"""Files that are whole or absent: written beside the target, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import Trouble, file_reason

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
"""Nobody but their owner can read what we keep."""

_PACKAGE = Path(__file__).parent


def shipped(in_wheel: str, in_checkout: str) -> Path:
    """Return the path of a file or folder that a wheel has inside the package and a checkout has beside it."""
    packaged = _PACKAGE / in_wheel
    return packaged if packaged.exists() else _PACKAGE.parent / in_checkout


@contextmanager
def replacing(target: Path, database: Path) -> Iterator[BinaryIO]:
    """Yield a new file, its owner's alone, that takes the target's place when the block ends well.

    It is written beside the target: a failure leaves what was there, and nothing else. Raise Trouble where the target
    is a folder, no ordinary file or of the database, or cannot be written.
    """
    target = _resolved(target)
    with _writing(target):
        if target.is_dir():
            raise Trouble(f"{target} is a folder: name a file in it")
        if target.exists() and not target.is_file():
            raise Trouble(f"{target} is no ordinary file: write to stdout (--output -) instead")
        if _is_of(database, target):
            raise Trouble(f"{target} belongs to the database: name another file")
        target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent)
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                _sync(file)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def filling(target: Path) -> Iterator[Path]:
    """Yield a new folder, its owner's alone, that becomes the target when the block ends well.

    Raise Trouble where the target is a file or a folder with something in it, or cannot be written.
    """
    target = _resolved(target)
    with _writing(target):
        if target.exists() and not target.is_dir():
            raise Trouble(f"{target} is a file: with --partition, name a folder")
        if target.is_dir() and any(target.iterdir()):
            raise Trouble(f"{target} is not empty: name a new folder, or empty it first")
        target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent))
        try:
            yield partial
            partial.replace(target)  # which an empty folder does not prevent
        finally:
            with suppress(FileNotFoundError):
                shutil.rmtree(partial)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file in a folder of ours; the folders between are made."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "wb") as file:
        yield file
        _sync(file)


def _resolved(target: Path) -> Path:
    """Return the file that a name leads to, so that a link to it stays one."""
    try:
        resolved = target.resolve()
    except (OSError, RuntimeError):
        resolved = target
    with suppress(OSError):  # of a name that is too long, which opening it will tell
        if resolved.is_symlink():  # from 3.13 on, such a link is resolved to itself
            raise Trouble(f"{target} leads nowhere: it is a link to itself")
    return resolved


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Trouble(f"{target} cannot be written: {file_reason(error)}") from None


def _sync(file: BinaryIO) -> None:
    """Bring the file to the disk, lest a power cut leave an empty one under the name."""
    file.flush()
    os.fsync(file.fileno())


def _is_of(database: Path, target: Path) -> bool:
    """Whether the target is the database, or one of the files beside it that go with it."""
    own = database.resolve()
    return any(target == own.with_name(f"{own.name}{more}") for more in _BESIDE)


_BESIDE = ("", "-wal", "-shm", "-journal", ".lock", ".daemon.lock")

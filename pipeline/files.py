"""Files: reads text from Windows too; writes files whole or not at all, by renaming them; finds shipped files."""

import codecs
import errno
import fcntl
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from pipeline.errors import Trouble, file_reason
from pipeline.partials import partial_file, partial_folder

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
"""Modes of what only its owner may read: the database, and everything made from it."""

_USUAL_FOLDER = 0o777
"""From which the user's mask takes away."""

LARGEST_CONTENT = 100_000_000
"""Bytes of a file that is read whole."""
_PIPE_SECONDS, _PIPE_GRACE_SECONDS = 10.0, 0.2
"""How long a pipe's writer may take, and how long it may take to come: the command waits meanwhile."""
_BOMS_OF_OTHERS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # UTF-32's begins with, or has NULs before, one of them
_PACKAGE = Path(__file__).parent


def is_present(path: Path) -> bool:
    """Return whether there is something at a path. Raise OSError where that cannot be known.

    `Path.exists` says no, from Python 3.14 on, also for a folder that we may not search and a name that is too long.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP):
            return False
        raise
    except ValueError:  # a NUL in the name
        return False
    return True


def is_absent(path: Path) -> bool:
    """Return whether there is surely nothing at a path: neither a link that leads nowhere, nor what we may not see."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return not path.parent.is_symlink() or path.parent.is_dir()
    except OSError:
        return False
    return False


_URI = "file://"
"""What the text of a path begins with whose name is not UTF-8: no absolute path does."""


def path_text(path: Path) -> str:
    """Return the absolute path as text that any database or encoder takes: its URI where the name is not UTF-8."""
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError:
        return path.absolute().as_uri()
    return text


def path_of(text: str) -> Path:
    """Return the path that `path_text` wrote."""
    if text.startswith(_URI):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(_URI))))
    return Path(text)


class WrongEncoding(ValueError):
    """A text file is not in UTF-8. `remedy` says how to make it so."""

    remedy = "save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"


def read_content(path: Path) -> bytes:
    """Return the content of a file of this program. Raise OSError if it is unreadable, too large, or not a file."""
    with _opened_without_waiting(path) as descriptor:
        return _read_file(path, descriptor)


def is_readable_kind(path: Path) -> bool:
    """Return whether a path is of a kind that can be read to an end: no socket, disk or endless device.

    Raise OSError where that cannot be known.
    """
    mode = path.stat().st_mode
    if not stat.S_ISCHR(mode):
        return not (stat.S_ISSOCK(mode) or stat.S_ISBLK(mode))
    with _opened_without_waiting(path) as descriptor:
        return os.isatty(descriptor) or path.resolve() == Path(os.devnull)


@contextmanager
def _opened_without_waiting(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device that is not there
            raise _not_a_file() from None
        if error.errno == errno.ENOENT and not is_absent(path):
            raise FileNotFoundError(errno.ENOENT, "a link to what does not exist") from None
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_file(path: Path, descriptor: int) -> bytes:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode) and path.resolve() != Path(os.devnull):
        raise _not_a_file()
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return _checked(file.read(LARGEST_CONTENT + 1))


def _not_a_file() -> OSError:
    return OSError(errno.EINVAL, "not a regular file")


def _read_pipe(descriptor: int) -> bytes:
    """Return what is written into a pipe, to its end. Raise OSError if nobody does, or not all within some seconds."""
    content = bytearray()
    began, is_written_to = time.monotonic(), False
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while (left := began + (_PIPE_SECONDS if is_written_to else _PIPE_GRACE_SECONDS) - time.monotonic()) > 0:
        try:
            chunk = os.read(descriptor, 65_536)
        except BlockingIOError:
            is_written_to = True
            ready.poll(left * 1000)
            continue
        if not chunk and is_written_to:
            return bytes(content)
        if not chunk:
            ready.poll(left * 1000)
        is_written_to = is_written_to or bool(chunk)
        content += _checked(chunk, len(content))
    raise OSError(
        errno.ETIMEDOUT, "a pipe that is not written to its end" if is_written_to else "a pipe without a writer"
    )


def _checked(content: bytes, before: int = 0) -> bytes:
    if before + len(content) > LARGEST_CONTENT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def read_text(path: Path) -> str:
    """Return the text of a file or pipe (`<(command)`) in UTF-8, without byte order marks, with \\n for each line end.

    Raise OSError as `read_content` does, UnicodeDecodeError, or WrongEncoding for UTF-16 and UTF-32, which Windows
    programs write.
    """
    with _opened_without_waiting(path) as descriptor:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        content = _read_pipe(descriptor) if is_pipe else _read_file(path, descriptor)
    if content.startswith(_BOMS_OF_OTHERS) or b"\0" in content[:2]:
        raise WrongEncoding("the text is in UTF-16")
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n\ufeff", "\n")  # files that were joined keep the marks of all


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock on a file: False if there is no file, or we may not open it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def shipped(in_wheel: str, in_checkout: str) -> Path:
    """Return the path of a file or folder that a wheel has inside the package and a checkout has beside it."""
    packaged = _PACKAGE / in_wheel
    return packaged if packaged.exists() else _PACKAGE.parent / in_checkout


@contextmanager
def replacing(
    target: Path, *, check: Callable[[Path], None], mode: int = PRIVATE_FILE, creates_folders: bool = True
) -> Iterator[BinaryIO]:
    """Yield a new file that replaces the target when the block succeeds, once it is on the disk under its name.

    If the block fails, the target stays as it was. Missing folders are created, private, unless `creates_folders` is
    false; a link stays a link. `check` raises Trouble for a file that must not be overwritten: it gets what the target
    leads to, before the block and after it. Raise Trouble too if the target is a folder, no regular file or a link to
    nothing, or if it cannot be written.
    """
    named, target = target, _resolve(target)
    with _report_failure(target):
        if target.is_dir():
            raise Trouble(f"{target} is a folder", remedy="name a file in it")
        if named.exists() and not named.is_file():
            shown = target if target.exists() else named  # where /dev/stdout leads to a pipe, that is no path
            raise Trouble(f"{shown} is not a regular file", remedy="name another file, or write to stdout (-)")
        check(target)
        if creates_folders:
            make_folder(target.parent)
        elif not target.parent.exists():
            raise Trouble(
                f"{target}: its folder does not exist", remedy=f"create {target.parent}, or name another file"
            )
        with _written_beside(target, mode) as file:
            yield file
            _sync(file)
            check(target)
        sync_folder(target.parent)


def replace_content(path: Path, content: bytes) -> None:
    """Replace a private file at once, so that nobody reads half of it. Raise OSError if it cannot be written.

    It is not synced: for what is written every few seconds, and may be lost in a power cut. A link is not followed, but
    replaced.
    """
    with _written_beside(path, PRIVATE_FILE) as file:
        file.write(content)


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a private file as `replace_content` does, and wait until it is on the disk under its name."""
    with _written_beside(path, PRIVATE_FILE) as file:
        file.write(content)
        _sync(file)
    sync_folder(path.parent)


def set_aside(path: Path) -> Path | None:
    """Rename a damaged file to its name with `.broken` and return that path, None if it cannot be renamed.

    An earlier one of that name is replaced: there is never more than one.
    """
    broken = path.with_name(f"{path.name}.broken")
    try:
        path.replace(broken)
    except OSError:
        return None
    return broken


@contextmanager
def filling(target: Path, *, check: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a new private folder that becomes the target when the block succeeds, once all of it is on the disk.

    `check` is called as by `replacing`. Raise Trouble if the target is a file, a link to nothing or a folder that is
    not empty, or if it cannot be written.
    """
    target = _resolve(target)
    with _report_failure(target):
        if target.exists() and not target.is_dir():
            raise Trouble(f"{target} is a file", remedy="with --partition, name a folder")
        if target.is_dir() and any(target.iterdir()):
            raise Trouble(f"{target} is not empty", remedy="name a new folder, or empty it first")
        check(target)
        make_folder(target.parent)
        with partial_folder(target) as partial:
            yield partial.path
            _sync_tree(partial.path)
            check(target)
            partial.path.replace(target)  # which works if the target is an empty folder
        sync_folder(target.parent)


@contextmanager
def creating(target: Path, *, mode: int) -> Iterator[BinaryIO]:
    """Yield a new file that appears under its name when the block succeeds, once it is on the disk.

    Missing folders are created as the system has them. Raise FileExistsError if there is a file already, and OSError if
    it cannot be written.
    """
    _check_free(target)
    make_folder(target.parent, mode=_USUAL_FOLDER)
    with _written_beside(target, mode) as file:
        yield file
        _sync(file)
        _check_free(target)
    sync_folder(target.parent)


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new private file, in private folders where they are missing; remove it if the block fails.

    Raise FileExistsError if there is one already, and OSError if it cannot be written.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            _sync(file)
        sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _written_beside(target: Path, mode: int) -> Iterator[BinaryIO]:
    """Yield a new file that is renamed to the target when the block succeeds, and removed if it fails."""
    with partial_file(target, mode) as partial:
        with os.fdopen(partial.descriptor, "wb", closefd=False) as file:
            yield file
        partial.path.replace(target)


def _resolve(target: Path) -> Path:
    """Return the file that a path leads to, so that a link to it stays a link.

    Raise Trouble for a link to nothing, in the path too: its folders may be those of a volume that is not mounted.
    """
    try:
        resolved = target.resolve()
    except (OSError, RuntimeError):
        resolved = target
    with suppress(OSError):  # a name that is too long fails when it is opened
        if resolved.is_symlink():  # from Python 3.13 on, such a link is resolved to itself
            raise Trouble(f"{target} leads nowhere: it is a link to itself")
        for one in (target, *target.parents):
            if one.is_symlink() and not one.exists():
                nothing = os.path.realpath(one)
                raise Trouble(
                    f"{one} leads nowhere: it is a link to {nothing}",
                    remedy=f"create {nothing}, mount its volume, or name another file",
                )
    return resolved


@contextmanager
def _report_failure(target: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Trouble(f"{target} cannot be written: {file_reason(error)}") from None


def make_folder(folder: Path, *, mode: int = PRIVATE_FOLDER) -> None:
    """Create a folder, and those above it that are missing, on the disk too. Do nothing if there is one.

    Otherwise a power cut could undo it, with all files in it that were synced. Raise OSError if it cannot be created.
    """
    missing = [*takewhile(lambda one: not one.exists(), (folder, *folder.parents))]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM})
"""Of a file system that cannot sync folders, and of a folder that we may write to, but not read."""


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: otherwise a power cut could undo a rename. Do nothing where none can.

    Raise OSError if the disk failed: then it is not known what is there after a power cut.
    """
    try:
        _sync_path(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk. Raise OSError if it fails."""
    _sync_path(path, os.O_RDONLY)


def _sync_path(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = str(path)  # it has none, and the message would name no file
        raise
    finally:
        os.close(descriptor)


def _sync(file: BinaryIO) -> None:
    """Write the file to the disk: otherwise a power cut could leave an empty file under its name."""
    file.flush()
    os.fsync(file.fileno())


def _sync_tree(folder: Path) -> None:
    """Write the files in a folder, and the folders, to the disk."""
    for inside, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(inside, name))
        sync_folder(Path(inside))

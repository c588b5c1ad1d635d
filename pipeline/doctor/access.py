"""Checks of access: whether a run can write where it has to. Found by opening, not by the modes alone."""

import errno
import os
import pwd
import shlex
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.findings import Finding, Level
from pipeline.errors import file_reason
from pipeline.monitoring.checks import Kind
from pipeline.store.database import beside, database_files


def check_access(database: Path) -> Iterator[Finding]:
    """Yield the folder and the files of the database that a run could not write. It changes none of them."""
    folder = existing_folder(beside(database, ""))
    try:
        _write_into(folder)
    except OSError as error:
        yield _refused(folder, error)
        if error.errno == errno.EROFS:
            return  # the same for each file
    for path in sorted(database_files(database)):
        try:
            if _is_file(path):
                os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            yield _refused(path, error)


def existing_folder(path: Path) -> Path:
    """Return the deepest folder above a path that exists: in it the rest would be created."""
    return next(folder for folder in path.absolute().parents if _is_folder(folder))


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """Return the mode; 0 if there is nothing, or if a folder above it may not be searched."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _write_into(folder: Path) -> None:
    """Create a nameless file in the folder, which is gone at once. Raise OSError if that cannot be done."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def _refused(path: Path, error: OSError) -> Finding:
    found = f"{path} cannot be written: {file_reason(error)}"
    if error.errno == errno.EROFS:
        return Finding(Kind.ACCESS, Level.PROBLEM, found, "mount it writable, or configure another database")
    if error.errno not in (errno.EACCES, errno.EPERM):
        return Finding(Kind.ACCESS, Level.PROBLEM, found, "check the disk")
    user, owner, quoted = os.geteuid(), path.stat().st_uid, shlex.quote(str(path))
    if owner == user:
        modes = "u+rwx" if _is_folder(path) else "u+rw"
        return Finding(Kind.ACCESS, Level.PROBLEM, found, f"chmod {modes} {quoted}")
    owned = f"{found}; it belongs to {_name(owner)}, and this is {_name(user)}"
    remedy = f"run as {_name(owner)}, or: sudo chown {_name(user)} {quoted}"
    return Finding(Kind.ACCESS, Level.PROBLEM, owned, remedy)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"

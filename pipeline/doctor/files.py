"""Checks of the files: their file system, the space for them, who can read them, and what was left half-written."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.doctor.access import existing_folder
from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.mounts import MOUNTS, mount_of
from pipeline.files import is_locked
from pipeline.monitoring.checks import Kind
from pipeline.partials import abandoned, abandoned_scratch
from pipeline.settings.environment import Environment
from pipeline.store.database import beside, file_id, hard_links
from pipeline.store.lock import lock_path
from pipeline.text import count, few

LITTLE_DISK, NO_DISK = 1_000_000_000, 100_000_000
"""Free bytes."""
_LOCAL = "keep the database on a disk of this machine"


def check_disk(database: Path) -> Iterator[Finding]:
    """Yield how much space is free where the database is or will be."""
    folder = existing_folder(database)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < NO_DISK:
        yield Finding(Kind.DISK, Level.PROBLEM, found, "free some space: nothing can be stored")
    elif free < LITTLE_DISK:
        yield Finding(Kind.DISK, Level.NOTE, found, "free some space soon")
    else:
        yield Finding(Kind.DISK, Level.OK, found)


def check_file_system(database: Path, *, table: Path = MOUNTS) -> Iterator[Finding]:
    """Yield whether SQLite can be trusted on the file system of the database. `table` lists all that are mounted."""
    try:
        mounts = table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        yield Finding(Kind.FILE_SYSTEM, Level.NOTE, "not looked at: this system does not list its mounts", _LOCAL)
        return
    file = beside(database, "")
    mount = mount_of(file, mounts)
    if mount is not None and mount.point == file:
        alone = f"{file} is mounted without its folder, where SQLite keeps a log, and this program a lock, beside it"
        yield Finding(Kind.FILE_SYSTEM, Level.PROBLEM, alone, "mount its folder")
    mount = mount_of(existing_folder(file), mounts)
    if mount is None:
        yield Finding(Kind.FILE_SYSTEM, Level.NOTE, "not known", _LOCAL)
        return
    found = f"{mount.kind}, mounted at {mount.point}"
    if mount.is_network:
        shared = f"{found}: SQLite's write-ahead log does not work on a network file system"
        yield Finding(Kind.FILE_SYSTEM, Level.PROBLEM, shared, _LOCAL)
    elif mount.is_uncertain:
        doubtful = f"{found}: SQLite needs locks and shared memory, which do not work on every such file system"
        yield Finding(Kind.FILE_SYSTEM, Level.NOTE, doubtful, _LOCAL)
    elif mount.is_memory:
        lost = f"{found}: in memory, and gone when the machine or container restarts"
        yield Finding(Kind.FILE_SYSTEM, Level.NOTE, lost, "keep the database on a disk")
    else:
        yield Finding(Kind.FILE_SYSTEM, Level.OK, found)


def check_names(database: Path) -> Iterator[Finding]:
    """Yield that the file has several names, each of which would have a log and a lock of its own."""
    if (names := hard_links(database)) > 1:
        found = f"{database} has {names} names (hard links): nothing that writes opens it"
        remedy = f"keep one name only: find -inum {database.stat().st_ino} lists them"
        yield Finding(Kind.FILE_SYSTEM, Level.PROBLEM, found, remedy)


def check_modes(database: Path, variables: Environment) -> Iterator[Finding]:
    """Yield the private files that other users can access; not `.env` if that is a problem already."""
    given = {problem.remedy for problem in variables.problems}
    for file in (database, lock_path(database), Path(".env")):
        mode = _mode(file)
        remedy = f"chmod 600 {file}"
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and remedy not in given:
            found = f"{file} is {stat.filemode(mode)}: other users can access it"
            yield Finding(Kind.MODES, Level.NOTE, found, remedy)


def check_leftovers(database: Path) -> Iterator[Finding]:
    """Yield what killed processes left half-written beside the database and among the temporary files, and its size."""
    restoring = beside(database, ".restoring")
    left = abandoned(beside(database, "").parent) + abandoned_scratch()
    before = _file(restoring)
    if before is not None and not is_locked(lock_path(database)) and _file(restoring) == before:
        left.append(restoring)  # unlike one whose restore ended, or began, between these looks
    if left:
        sizes = sum(_size(path) for path in left)
        found = (
            f"{count(len(left), 'leftover')} of killed commands, {sizes / 1e6:,.1f} MB: {few(list(map(str, left)), 3)}"
        )
        yield Finding(Kind.LEFTOVERS, Level.NOTE, found, "remove them (rm -r), or repeat the commands, which do it")


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder, as far as that can be known."""
    total = 0
    for inside in (path, *path.rglob("*")):
        with suppress(OSError):
            status = inside.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def _file(path: Path) -> tuple[int, int] | None:
    """Return which regular file is at a path; None if there is none, or if it cannot be known."""
    with suppress(OSError):
        return file_id(path) if _mode(path) else None
    return None


def _mode(file: Path) -> int:
    """Return the mode of a regular file; 0 if there is none, or if it cannot be known."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return 0
    return mode if stat.S_ISREG(mode) else 0

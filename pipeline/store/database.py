"""The database file: creates and opens it, checks that it is ours, and explains SQLite's errors in one line."""

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

from pipeline.errors import ExitCode, Inconsistent, Trouble, Undecodable, file_reason
from pipeline.files import PRIVATE_FILE, is_locked, is_present, new_file, sync_folder
from pipeline.store.diagnosis import NOT_UTF8, UNEXPECTED, damage_in, note_opened
from pipeline.store.foreign_log import foreign_log
from pipeline.store.held_locks import is_held_here
from pipeline.store.in_use import FileId, in_use
from pipeline.store.parts import missing_part
from pipeline.text import printable

APPLICATION_ID = 0x4F565057
"""Marks our files in their header: "OVPW"."""
OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
SAFE_SQLITE = (3, 51, 3)
"""The first in which two connections cannot corrupt a WAL file by checkpointing at the same time."""

_BUSY_SECONDS = 1.0
_FULL = 2
"""What SQLite calls `synchronous = FULL`."""
_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")
OWN_SUFFIXES = (
    *("-wal", "-shm", "-journal", ".restoring"),
    *(".lock", ".daemon.lock", ".record", ".heartbeat.json", ".told.json"),
)
"""How the names of the files end that belong to a database, after its own name."""


class DatabaseError(Trouble):
    """A database that cannot be used. The line names the file, the problem and the remedy."""


class ForeignDatabase(DatabaseError):
    """A database of another program."""


class StorageError(DatabaseError):
    """Something could not be written, in spite of all retries."""


class LockLost(StorageError):
    """The lock file was removed or replaced, so that another process may have begun to collect."""

    def __init__(self, lock: Path) -> None:
        super().__init__(
            f"{lock} was removed or replaced while this process held its lock",
            remedy="leave the file there; collect again to continue",
        )


class LogLost(StorageError):
    """The write-ahead log was removed or replaced, so that others do not see what is committed."""

    def __init__(self, log: Path) -> None:
        super().__init__(
            f"{log} was removed or replaced while it was written to",
            remedy="leave the file there; collect again to continue",
        )


class RecordGone(StorageError):
    """The database is missing or empty, but a record was kept in it. Nothing is begun in its place unasked."""

    exit_code = ExitCode.REFUSED


def beside(database: Path, suffix: str) -> Path:
    """Return the file beside the database whose name is the database's with a suffix, such as `.lock`.

    The same file by whatever link the database is reached, as SQLite does it for `-wal`.
    """
    real = Path(os.path.realpath(database))  # unlike resolve(), it raises nothing for a link to itself
    return _with_suffix(real, suffix)


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def sandbox_beside(database: Path) -> Path:
    """Return the database that --sandbox fills unless another is named."""
    return database.with_name("sandbox.db")


def command_to_collect(database: Path) -> str:
    """Return the command that fills a database. A sandbox's is known by its name: there is no key for it."""
    return "pipeline collect --sandbox" if database == sandbox_beside(database) else "pipeline collect"


def database_files(database: Path) -> frozenset[Path]:
    """Return the database, and the files beside it that nothing else may overwrite."""
    return frozenset(beside(database, suffix) for suffix in ("", *OWN_SUFFIXES))


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read, and its folder. Do nothing if it exists.

    It is created before SQLite opens it, because `-wal` and `-shm` inherit its mode. Raise DatabaseError if it cannot
    be created.
    """
    try:
        with new_file(path):
            pass
    except FileExistsError:
        if path.is_dir():
            raise is_folder(path) from None
        if not path.parent.is_dir():
            raise DatabaseError(f"{path.parent} is not a folder", remedy="name a file in a folder") from None
        if path.is_file() and path.stat().st_size == 0:
            path.chmod(PRIVATE_FILE)  # created by somebody else, for us to fill
    except OSError as error:
        raise DatabaseError(f"{path} cannot be created: {file_reason(error)}", remedy=access_remedy(error)) from None


def access_remedy(error: OSError) -> str | None:
    """Return the remedy for a file that we may not write, or that is a folder; None for other errors."""
    if isinstance(error, IsADirectoryError):
        return "move that folder away"
    return "pipeline doctor says whose it is" if isinstance(error, PermissionError) else None


def is_folder(path: Path) -> DatabaseError:
    """Return the error for a database's path that is a folder."""
    return _in_place_of_database(path, "is a folder", "name a file in it")


def _in_place_of_database(path: Path, what: str, remedy: str) -> DatabaseError:
    """Return the error for what is no file; where a record was kept, it stands in the database's place."""
    if is_present(beside(path, ".record")):
        return DatabaseError(
            f"{path} {what}, but a record was kept there",
            remedy="move it away and put the database back, or restore a backup (pipeline restore)",
        )
    return DatabaseError(f"{path} {what}", remedy=remedy)


def uri(path: Path, mode: str) -> str:
    """Return the name by which SQLite opens an existing file in a mode: `ro` or `rw`."""
    return f"{path.absolute().as_uri()}?mode={mode}"


@contextmanager
def connect(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open an existing file with SQLite, `ro` or `rw`, and raise every error of SQLite as DatabaseError.

    What a killed process left half-written is undone first.
    """
    if path.is_dir():
        raise is_folder(path)
    real = beside(path, "")  # found once: that looks at each folder on the way
    _refuse_what_is_no_file(path, real)
    note_opened(path)
    if mode == "rw":
        _refuse_second_name(path)
    with translate_errors(path), in_use(_opened_file(path), before=lambda: _check_log(real)):
        if mode == "ro":
            _roll_back(path, real)
        name = uri(path, mode) + ("&immutable=1" if mode == "ro" and _needs_no_wal(path, real) else "")
        db = sqlite3.connect(name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA trusted_schema = OFF")  # what a view calls is nothing that could do harm
            if mode == "rw":
                db.execute("PRAGMA synchronous = FULL")  # some SQLites are built to sync no commit in WAL mode
            yield db
        finally:
            db.close()


def _refuse_what_is_no_file(path: Path, real: Path) -> None:
    """Raise DatabaseError for what SQLite would wait for, or a link beside the database: it would write where it leads.

    A link to the database itself is the user's.
    """
    for suffix in _SQLITE_SUFFIXES:
        try:
            mode = os.lstat(f"{real}{suffix}").st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode) and suffix:
            raise DatabaseError(f"{real}{suffix} is a link, which SQLite would follow", remedy="remove it")
        if not stat.S_ISREG(mode):
            if suffix:
                raise DatabaseError(f"{real}{suffix} is not a regular file", remedy="remove it")
            raise _in_place_of_database(path, "is not a regular file", "name another one, or remove it")


def hard_links(path: Path) -> int:
    """Return how many names a regular file has, 0 if it is none or this cannot be known.

    SQLite keeps a log for each, and we a lock.
    """
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_nlink if stat.S_ISREG(found.st_mode) else 0


def _refuse_second_name(path: Path) -> None:
    if (names := hard_links(path)) > 1:
        raise DatabaseError(
            f"{path} has {names} names (hard links): two processes would not see each other's log and lock",
            remedy=f"keep one name only: find its others with find -inum {path.stat().st_ino}, or make copies of them",
        )


def _opened_file(path: Path) -> FileId | None:
    """Return which file is opened at a path, None if that cannot be known: SQLite will say what is wrong."""
    try:
        return file_id(path)
    except OSError:
        return None


def _check_log(real: Path) -> None:
    """Raise DatabaseError as `_refuse_foreign_log` does, if there is a log or journal."""
    if _size(_with_suffix(real, "-wal")) or _size(_with_suffix(real, "-journal")):
        _refuse_foreign_log(real, *(_state(_with_suffix(real, suffix)) for suffix in ("", "-wal", "-journal")))


def _state(file: Path) -> tuple[int, ...] | None:
    """Return which file it is, its size and its time, which tell whether it was written to; None: there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=100)  # once as long as none of the files changes: a log may be long
def _refuse_foreign_log(path: Path, *_states: tuple[int, ...] | None) -> None:
    """Raise DatabaseError if SQLite would replay a log or journal that was another file's.

    Where another process collects, the files change meanwhile, and that process has checked them itself.
    """
    wal, journal, lock = (beside(path, suffix) for suffix in ("-wal", "-journal", ".lock"))
    log = foreign_log(path, wal=wal, journal=journal)
    if log is None or (is_locked(lock) and not is_held_here(lock)):
        return
    if foreign_log(path, wal=wal, journal=journal):
        raise DatabaseError(
            f"{path}: {log.name} was left by another file, and would damage this one",
            remedy=f"use pipeline restore to put a backup in place, or move {log.name} away",
        )


def _roll_back(path: Path, real: Path) -> None:
    """Let SQLite undo what a journal says is half-written: only a connection that may write can.

    There is one after a kill while the file was switched to WAL, which a new database and a restored backup are. It
    needs none of our locks: SQLite plays a journal back only if no process is writing, and lets no other in meanwhile.
    """
    if _size(_with_suffix(real, "-journal")):
        with closing(sqlite3.connect(uri(path, "rw"), uri=True, timeout=_BUSY_SECONDS)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _needs_no_wal(path: Path, real: Path) -> bool:
    """Whether the file is whole without a WAL, in a folder where SQLite could not create the -shm to read one with.

    Raise DatabaseError if it is not whole.
    """
    wal, shm = _with_suffix(real, "-wal"), _with_suffix(real, "-shm")
    if os.access(wal.parent, os.W_OK) or shm.exists():
        return False
    if _size(wal):
        raise DatabaseError(
            f"{path}: the changes in {wal.name} cannot be read here, as SQLite has to write beside it",
            remedy="copy both files to a folder where you can write, or ask for a backup (pipeline backup)",
        )
    return True


def unlocked_state(path: Path) -> tuple[int, int] | None:
    """Return the size and time of a file that `connect` opens without locks, as it can create nothing beside it.

    SQLite takes it for immutable: only these tell whether it was written to. None for any other file, or none. Raise
    DatabaseError if it is not whole.
    """
    if not _needs_no_wal(path, beside(path, "")):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _size(file: Path) -> int:
    """Return the file's size in bytes, 0 if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise sqlite3's errors as DatabaseError, and Undecodable, for what a column holds, too.

    Any other error as well, if a check finds the file damaged: then that is the likely cause.
    """
    try:
        yield
    except Undecodable as error:
        raise undecodable(path, error) from error
    except Inconsistent as error:
        raise damaged(path, str(error)) from error
    except sqlite3.Error as error:
        if (found_out := damage_said(path, error)) is not None:
            raise found_out from error
        problem, remedy = explain(error)
        if remedy is None and (found := damage_in(path)) is not None:
            raise damaged(path, found) from error
        raise _explained(path, problem, remedy) from error
    except UNEXPECTED as error:
        if _is_of_schema(error):
            raise _explained(path, "damaged", _REPAIR) from error
        if (found := damage_in(path)) is not None:
            raise damaged(path, found) from error
        raise


def _explained(path: Path, problem: str, remedy: str | None) -> DatabaseError:
    return DatabaseError(f"{path}: {problem}", remedy=remedy)


def _is_of_schema(error: Exception) -> bool:
    """Whether SQLite found the schema damaged, and repeated of it what is not UTF-8."""
    return isinstance(error, UnicodeDecodeError) and error.object.startswith(b"malformed database schema")


def undecodable(path: Path, error: Undecodable | sqlite3.Error) -> DatabaseError:
    """Return the error for a file in which a text is not what this program wrote."""
    what = str(error) if isinstance(error, Undecodable) else NOT_UTF8
    return damaged(path, f"a column holds {what}")


def damaged(path: Path, what: str) -> DatabaseError:
    """Return the error for a file with damage in it, given in a few words."""
    return DatabaseError(f"{path}: damaged ({what})", remedy=_REPAIR)


def damage_said(path: Path, error: sqlite3.Error) -> DatabaseError | None:
    """Return the error for a file with the damage that an error of a query names, None if it names none."""
    if is_not_utf8(error):
        return undecodable(path, error)
    part = missing_part(error)
    return None if part is None else damaged(path, part)


def is_not_utf8(error: sqlite3.Error) -> bool:
    """Whether a text in the file could not be decoded. The error's own text repeats all of it."""
    return str(error).startswith("Could not decode to UTF-8")


_REPAIR = "restore a backup (pipeline restore), or keep a copy and try sqlite3's .recover"
_CHECK_MODES = "check the modes of the file and its folder"
_UNLOCK = "close it there, and try again"
_STORAGE_FAILURES = {
    "SQLITE_READONLY_ROLLBACK": (
        "a killed process left a change half-written, which cannot be undone here: read-only",
        "run pipeline status once as a user who may write to the file and its folder",
    ),
    "SQLITE_NOTADB": ("not a database", "name another file, or move this one away"),
    "SQLITE_CORRUPT": ("damaged", f"if it stays so, {_REPAIR}"),  # SQLite says so of a disk that fails to read, too
    "SQLITE_READONLY": ("read-only", _CHECK_MODES),
    "SQLITE_FULL": ("the disk is full", "free some space"),
    "SQLITE_IOERR": ("the disk failed to read or write", "check that it works and is not full"),
    "SQLITE_BUSY": ("locked by another program", _UNLOCK),
    "SQLITE_LOCKED": ("locked by another program", _UNLOCK),
    "SQLITE_CANTOPEN": ("cannot be opened", f"check the path, and {_CHECK_MODES}"),
    "SQLITE_PERM": ("not permitted", _CHECK_MODES),
}
"""Problem and remedy, by the beginning of the name of SQLite's error code; the first that fits."""
_MISSING = ("no such table", "no such column", "no such view", "table ")
"""How SQLite begins what it says of a query that does not fit the schema: `table runs has no column named detail`."""
_TEMPORARY_FAILURES = tuple(_STORAGE_FAILURES.keys() - {"SQLITE_NOTADB", "SQLITE_CORRUPT"})


def explain(error: sqlite3.Error) -> tuple[str, str | None]:
    """Return the problem and the remedy; what SQLite says, and None, if it is none of the usual failures."""
    if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
        return "closed", "open it again"
    name = _code_name(error)
    for prefix, (problem, remedy) in _STORAGE_FAILURES.items():
        if name.startswith(prefix):
            return problem, remedy
    if is_of_other_schema(error):
        return printable(str(error)), _REPAIR
    return f"{error} ({name or type(error).__name__})", None


def _code_name(error: BaseException | None) -> str:
    return getattr(error, "sqlite_errorname", "") or ""


def file_id(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path, by device and number; None if there is none, or a link that leads nowhere."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    return status.st_dev, status.st_ino


def is_storage_failure(error: sqlite3.Error) -> bool:
    """Whether the file, the disk or another program caused the error, and not a bug."""
    return _code_name(error).startswith(tuple(_STORAGE_FAILURES))


def is_of_other_schema(error: sqlite3.Error) -> bool:
    """Whether the file lacks what its version of the schema has: of that there are queries, and nothing else."""
    return _code_name(error) == "SQLITE_ERROR" and str(error).startswith(_MISSING)


def is_damage(error: BaseException | None) -> bool:
    """Whether an error of SQLite's says that the content of the file is damaged, or cannot be decoded itself."""
    return isinstance(error, UnicodeDecodeError) or _code_name(error).startswith("SQLITE_CORRUPT")


def is_temporary(error: DatabaseError) -> bool:
    """Whether the disk or another program caused the error, so that it may pass without a repair of the file."""
    return isinstance(error, LockLost | LogLost) or _code_name(error.__cause__).startswith(_TEMPORARY_FAILURES)


def leave_wal(db: sqlite3.Connection) -> None:
    """Let a database be one file, which needs none beside it. Raise sqlite3.Error.

    SQLite changes the file as the statement ends, and Python raises what fails then only where its rows are fetched.
    """
    db.execute("PRAGMA journal_mode = DELETE").fetchall()


def check_durable(path: Path, journal_mode: object, synchronous: object) -> None:
    """Raise DatabaseError unless a connection is in WAL mode with FULL, and the log's name is on the disk.

    In replayed power cuts NORMAL lost acknowledged rows, FULL none. SQLite switches to WAL silently or not at all, and
    ignores a folder that it could not sync: then a power cut could lose the log that a half-written database needs.
    """
    if (journal_mode, synchronous) != ("wal", _FULL):
        raise DatabaseError(
            f"{path}: SQLite cannot write durably here (journal_mode {journal_mode}, synchronous {synchronous})",
            remedy="put the database on a local disk that works",
        )
    try:
        sync_folder(beside(path, "").parent)
    except OSError as error:
        raise DatabaseError(f"{path.parent} cannot be synced: {file_reason(error)}", remedy="check the disk") from None


def refuse_foreign(path: Path) -> None:
    """Raise DatabaseError if the file exists and is not our database; nothing is written or created."""
    if is_present(path):
        with connect(path, "ro") as db:
            schema_version(db, path)


def schema_version(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's schema, 0 if the file is empty. Raise DatabaseError if it is not ours."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or application or version):
        raise ForeignDatabase(f"{path} belongs to another program", remedy="name another file")
    return int(version)


def wal_bytes(database: Path) -> int:
    """Return the size of the write-ahead log in bytes, 0 if there is none."""
    return _size(beside(database, "-wal"))

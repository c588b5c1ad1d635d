"""Foreign logs: whether a write-ahead log or a journal beside a database is its own, as far as the files show.

SQLite replays whatever lies there. A copy that was put in place beside the log of the file before it would be damaged.
Format of the files: sqlite.org/fileformat2.html. Only the plain files are read, so call this before SQLite has the
database open in this process: closing a file drops the process's locks on it.
"""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_HEADER = 100
_MAGIC = b"SQLite format 3\x00"
_WAL_HEADER, _FRAME_HEADER = struct.Struct(">8I"), struct.Struct(">6I")
_WAL_MAGIC = 0x377F0682
"""With 1 in its last bit, checksums are big-endian."""
_JOURNAL_HEADER = struct.Struct(">8s5I")
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_LOCKED_BYTES = 1 << 30
"""The page that begins here is never written: SQLite locks its bytes."""
_COUNTER = 24
"""Where the first page has the number of the last change."""


@dataclass(frozen=True, slots=True)
class _Database:
    page_size: int
    pages: int
    uses_wal: bool
    changes: int
    """How often its first page was changed, including the size of the file."""


@dataclass(slots=True)
class _Wal:
    """What the committed frames of a write-ahead log say."""

    page_size: int
    pages: set[int] = field(default_factory=set)
    size: int = 0
    """Of the database after the last commit, in pages."""
    changes: list[int] = field(default_factory=list)
    """The change counter in each frame of the first page."""


def foreign_log(database: Path, *, wal: Path, journal: Path) -> Path | None:
    """Return the log or journal that cannot belong to the database beside it; None if both can, or are not there.

    What is not known to be foreign may be foreign still: the log of a copy of the same file at about the same time.
    """
    try:
        if not all(map(_is_plain, (database, wal, journal))):
            return None
        file = _read_database(database)
        if file is None:
            return None
        if _is_foreign_journal(journal, file):
            return journal
        # Checksums take long, and are needed only where a power cut may have left frames half-written.
        if _is_foreign_wal(_read_wal(wal), file) and _is_foreign_wal(_read_wal(wal, verify=True), file):
            return wal
    except OSError:  # what has to read them will say so
        return None
    return None


def _is_plain(path: Path) -> bool:
    """Whether a path can be read without waiting: a plain file, or nothing."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _read_database(path: Path) -> _Database | None:
    """Return what the header says, None if there is none: SQLite will say what is wrong."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return None
    (page_size,) = struct.unpack_from(">H", header, 16)
    page_size = 65_536 if page_size == 1 else page_size
    (changes,) = struct.unpack_from(">I", header, _COUNTER)
    return _Database(page_size, size // page_size, header[18] == 2, changes) if page_size else None


def _is_foreign_wal(wal: _Wal | None, file: _Database) -> bool:
    if wal is None or not wal.size:
        return False  # nothing in it would be replayed
    if not file.uses_wal or wal.page_size != file.page_size:
        return True  # a file is switched to WAL before there is one, and back only when there is none any more
    unused = _LOCKED_BYTES // file.page_size + 1
    if any(page not in wal.pages and page != unused for page in range(file.pages + 1, wal.size + 1)):
        return True  # it continues a longer file
    # The file has the first page as it was before the log, or as a frame has it that was moved into the file.
    return bool(wal.changes) and not min(wal.changes) - 1 <= file.changes <= max(wal.changes)


def _read_wal(path: Path, *, verify: bool = False) -> _Wal | None:
    """Return what the committed frames say, None if there is no log. `verify`: end at the first wrong checksum."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(_WAL_HEADER.size)
        if len(header) < _WAL_HEADER.size:
            return None
        magic, _, page_size, _, *salt, _, _ = _WAL_HEADER.unpack(header)
        if magic & ~1 != _WAL_MAGIC or not page_size:
            return None
        words = ">" if magic & 1 else "<"
        sums = _checksum(header[:24], words, (0, 0))
        if sums != _WAL_HEADER.unpack(header)[6:]:
            return None
        wal, pending = _Wal(page_size), _Wal(page_size)
        for head, page in _frames(file, page_size):
            number, commit, *rest = _FRAME_HEADER.unpack(head)
            if rest[:2] != salt:
                break  # of an earlier round of the log
            if verify:
                sums = _checksum(head[:8] + page, words, sums)
                if list(sums) != rest[2:]:
                    break
            pending.pages.add(number)
            if number == 1:
                pending.changes += struct.unpack_from(">I", page, _COUNTER)
            if commit:
                wal.pages |= pending.pages
                wal.changes += pending.changes
                wal.size, pending = commit, _Wal(page_size)
        return wal
    return None


def _frames(file: BinaryIO, page_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header and the page of each whole frame that is left in a file."""
    size = _FRAME_HEADER.size + page_size
    while len(frame := file.read(size)) == size:
        yield frame[: _FRAME_HEADER.size], frame[_FRAME_HEADER.size :]


def _checksum(content: bytes, words: str, sums: tuple[int, int]) -> tuple[int, int]:
    """Return SQLite's running checksum after this content."""
    first, second = sums
    values = iter(struct.unpack(f"{words}{len(content) // 4}I", content))
    for one, other in zip(values, values, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


def _is_foreign_journal(path: Path, file: _Database) -> bool:
    """Whether a journal would be played back that was not made for the change that the file is in."""
    with suppress(FileNotFoundError), path.open("rb") as journal:
        header = journal.read(_JOURNAL_HEADER.size)
        if len(header) < _JOURNAL_HEADER.size:
            return False
        magic, _, _, pages, sector, page_size = _JOURNAL_HEADER.unpack(header)
        if magic != _JOURNAL_MAGIC:
            return False
        if page_size != file.page_size or pages > max(file.pages, 1):
            return True
        before = 0
        if pages:
            journal.seek(sector)
            record = journal.read(4 + _HEADER)
            if len(record) < 4 + _HEADER or record[:4] != b"\x00\x00\x00\x01":
                return False  # the first page is further back, or not in it yet: then nothing was changed yet
            (before,) = struct.unpack_from(">I", record, 4 + _COUNTER)
        return file.changes not in (before, before + 1)
    return False

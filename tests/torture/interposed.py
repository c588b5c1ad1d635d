"""Interposed: a library in C between a program and its files. Builds it, gives its orders, reads what it recorded."""

import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("interposed.c")
_FIELDS = (
    "changes", "kill_at", "is_torn", "kinds", "matching", "fail_from", "fail_until", "error", "failed", "records",
)  # fmt: skip
_HEAD = struct.Struct("=iiqqqii")
EVER = 2**62

OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, FOLDER, READ = "owtsnuldr"
"""Kinds of operations. Opening counts where it may write."""
SAID, NOTED = "em"
"""Kinds of records that are no operations: what the program printed, and what the test noted."""
CHANGES = OPEN + WRITE + TRUNCATE + SYNC + RENAME + UNLINK + LINK + FOLDER


def compiler() -> str | None:
    """Return the C compiler of this machine, None if there is none."""
    return shutil.which("cc") or shutil.which("gcc")


def missing() -> str | None:
    """Return why the library cannot be used here, None if it can."""
    if os.uname().sysname != "Linux":
        return "needs Linux"
    return None if compiler() else "needs a C compiler"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a program did to its files, or said meanwhile."""

    kind: str
    error: int
    """The errno, 0 if it was done."""
    file: int
    """The number of an open file; for what was said, 1 or 2."""
    offset: int
    """Of a write; the length, of a truncation; the flags, of an opening."""
    path: Path
    other: Path
    data: bytes

    @property
    def is_change(self) -> bool:
        """Whether it is one of the changes that are counted: opening is, where it may create or empty a file."""
        return self.kind in CHANGES and (self.kind != OPEN or bool(self.offset & (os.O_CREAT | os.O_TRUNC)))

    def __str__(self) -> str:
        size = f" {len(self.data)} bytes at {self.offset}" if self.kind == WRITE else ""
        failed = f" {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.kind} {self.path.name or self.file}{size}{failed}"


class Interposed:
    """The library, built, with the folder that it watches."""

    def __init__(self, place: Path, watched: Path) -> None:
        """Build it in a folder, for another one, which exists. Both are this trial's."""
        self._library = place / "interposed.so"
        self._log = place / "log"
        self._log.touch()
        self.watched = watched.resolve()
        control = place / "control"
        control.write_bytes(bytes(8 * len(_FIELDS)))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 0)
        self.variables = {
            "LD_PRELOAD": str(self._library),
            "INTERPOSED_FOLDER": str(self.watched),
            "INTERPOSED_CONTROL": str(control),
            "INTERPOSED_LOG": str(self._log),
        }
        """For the environment of a program."""
        command = [
            compiler() or "cc",
            "-O1",
            "-shared",
            "-fPIC",
            "-o",
            str(self._library),
            str(_SOURCE),
            "-ldl",
            "-lpthread",
        ]
        subprocess.run(command, check=True, timeout=60)

    def order(self, **values: int) -> None:
        """Count from now on, and give these orders: fields of `struct control`. The rest are 0."""
        self._control[:] = struct.pack(f"={len(_FIELDS)}q", *(values.get(name, 0) for name in _FIELDS))

    def fail(self, kinds: str, error: int, first: int, last: int = EVER, **more: int) -> None:
        """Let operations of these kinds fail, from the first to the last of them. No error: writes are short.

        `more` are further orders.
        """
        mask = sum(1 << (ord(kind) - ord("a")) for kind in kinds)
        self.order(kinds=mask, error=error, fail_from=first, fail_until=last, **more)

    def _field(self, name: str) -> int:
        (value,) = struct.unpack_from("=q", self._control, 8 * _FIELDS.index(name))
        return int(value)

    @property
    def changes(self) -> int:
        """How many changes were made since the last order."""
        return self._field("changes")

    @property
    def failed(self) -> int:
        """How many operations failed by order."""
        return self._field("failed")

    @property
    def matching(self) -> int:
        """How many operations were of the kinds that may fail."""
        return self._field("matching")

    def forget(self) -> None:
        """Empty the log."""
        os.truncate(self._log, 0)

    def note(self, text: str) -> None:
        """Add a record to the log: what the test knows at this point."""
        data = text.encode()
        with self._log.open("ab", buffering=0) as file:
            file.write(_HEAD.pack(ord(NOTED), 0, 0, 0, len(data), 0, 0) + data)

    def recorded(self) -> list[Operation]:
        """Return what is in the log, with paths from the watched folder on."""
        return list(_operations(self._log.read_bytes(), self.watched))


def _operations(log: bytes, watched: Path) -> Iterator[Operation]:
    position = 0
    while position < len(log):
        kind, error, file, offset, length, first, second = _HEAD.unpack_from(log, position)
        position += _HEAD.size
        texts = log[position : position + first], log[position + first : position + first + second]
        position += first + second
        data = log[position : position + length]
        position += length
        path, other = (Path(os.fsdecode(text)).relative_to(watched) if text else Path() for text in texts)
        yield Operation(chr(kind), error, file, offset, path, other, data)

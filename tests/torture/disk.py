"""A disk under a file system: what it has of a program's changes when the power fails.

What was synced is there. Of what was not, any sectors are, in any order. Names are the file system's: on a journalled
one they change in order, and syncing any file keeps all that came before; on a strict one, a change of a name is kept
once its folder is synced, and may be kept or lost by itself before that.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.torture.interposed import FOLDER, LINK, OPEN, RENAME, SYNC, TRUNCATE, UNLINK, WRITE, Operation

SECTORS = (512, 4096)
_GARBAGE = 0.1
"""How often a file has grown, and what was to be in it has not reached the disk, but other bytes are there."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Of a file's content: bytes at a place; or none, and the place is where it is cut off."""

    at: int
    data: bytes | None


@dataclass(slots=True)
class File:
    """A file: what of it is on the disk, and what is not yet known to be."""

    synced: bytes = b""
    changes: list[_Change] = field(default_factory=list)
    size: int = 0

    def change(self, at: int, data: bytes | None) -> None:
        self.changes.append(_Change(at, data))
        self.size = at if data is None else max(self.size, at + len(data))

    def sync(self) -> None:
        if self.changes or len(self.synced) != self.size:
            self.synced = self.content().ljust(self.size, b"\0")
            self.changes.clear()

    def fail_sync(self, random: Random) -> None:
        """Lose for good what a power cut now would: the system takes it for written, and no later sync writes it."""
        self.synced = self.after_cut(random)
        self.changes.clear()

    def content(self, kept: Callable[[int, int], bool] = lambda _index, _sector: True, grain: int = 4096) -> bytes:
        """Return the content with those changes that a disk has kept, of each of the sectors that they touch."""
        content = bytearray(self.synced)
        for index, change in enumerate(self.changes):
            if change.data is None:
                for start, end in _sectors(change.at, len(content), grain):
                    if kept(index, start // grain):
                        content[start:end] = bytes(end - start)
                continue
            content.extend(bytes(max(0, change.at + len(change.data) - len(content))))
            for start, end in _sectors(change.at, change.at + len(change.data), grain):
                if kept(index, start // grain):
                    content[start:end] = change.data[start - change.at : end - change.at]
        return bytes(content[: self.size])

    def sizes(self) -> list[int]:
        """Return the sizes that it had since it was synced."""
        sizes = [len(self.synced)]
        for change in self.changes:
            sizes.append(change.at if change.data is None else max(sizes[-1], change.at + len(change.data)))
        return sizes

    def after_cut(self, random: Random) -> bytes:
        """Return what may be on the disk after a power cut."""
        style = random.random()
        if not self.changes or style < 0.2:
            return self.synced
        if style < 0.4:
            return self.content()
        grain = random.choice(SECTORS)
        count = len(self.changes)
        whole, lost = sorted((random.random(), random.random()))
        reached: dict[int, int] = {}

        def kept(index: int, sector: int) -> bool:
            """Whether the disk has the change number `index` of a sector: it has all of them up to some point."""
            if sector not in reached:
                draw = random.random()
                reached[sector] = count if draw < whole else 0 if draw < lost else random.randint(0, count)
            return index < reached[sector]

        content = self.content(kept, grain)
        size = random.choice((self.size, self.size, *self.sizes()))
        content = content[:size] + bytes(size - len(content[:size]))
        if size > len(self.synced) and random.random() < _GARBAGE:
            start = random.randrange(len(self.synced), size)
            content = content[:start] + random.randbytes(size - start)
        return content


class _Folder(File):
    """A folder, which is only there or not."""


_FOLDER = _Folder()
_Names = dict[Path, File]
_Step = tuple[tuple[Path, File | None], ...]
"""Names that change at once: what each is now, None where there is nothing any more."""


class Disk:
    """A disk that is told all changes, in order."""

    def __init__(self, folder: Path, random: Random, *, is_strict: bool, syncs: bool = True) -> None:
        """Begin with what is in a folder, which is synced. Without `syncs` it lies: nothing is synced from then on."""
        self._random = random
        self._is_strict = is_strict
        self._syncs = syncs
        self._names: _Names = {Path(): _FOLDER}
        for path in sorted(folder.rglob("*")):
            content = b"" if path.is_dir() else path.read_bytes()
            self._names[path.relative_to(folder)] = _FOLDER if path.is_dir() else File(content, size=len(content))
        self._synced = dict(self._names)
        self._steps: list[_Step] = []
        self._open: dict[int, tuple[Path, File]] = {}

    def apply(self, operation: Operation) -> None:
        """Change what is on the disk as an operation did."""
        if operation.error:
            if operation.kind == SYNC:
                self._open[operation.file][1].fail_sync(self._random)
            return
        path, other, kind = operation.path, operation.other, operation.kind
        if kind == OPEN:
            self._open_file(operation)
        elif kind in (WRITE, TRUNCATE):
            file = self._open[operation.file][1]
            file.change(operation.offset, operation.data if kind == WRITE else None)
        elif kind == SYNC:
            self._sync(*self._open[operation.file])
        elif kind == RENAME:
            self._rename(path, other)
        elif kind == UNLINK:
            self._step((path, None))
        elif kind == LINK:
            self._step((other, self._names[path]))
        elif kind == FOLDER:
            self._step((path, _FOLDER))

    def _open_file(self, operation: Operation) -> None:
        if operation.path not in self._names:
            self._step((operation.path, File()))
        file = self._names[operation.path]
        self._open[operation.file] = (operation.path, file)
        if operation.offset & os.O_TRUNC and file.size:
            file.change(0, None)

    def _sync(self, path: Path, file: File) -> None:
        if not self._syncs:
            return
        file.sync()
        if not self._is_strict:
            self._keep(lambda _name: True)
        elif file is _FOLDER:
            self._keep(lambda name: name.parent == path)

    def _rename(self, path: Path, other: Path) -> None:
        moved = [name for name in self._names if name == path or path in name.parents]
        changes = [(other / name.relative_to(path), self._names[name]) for name in moved]
        self._step(*changes, *((name, None) for name in moved))

    def _step(self, *changes: tuple[Path, File | None]) -> None:
        self._steps.append(changes)
        _change(self._names, changes)

    def _keep(self, is_kept: Callable[[Path], bool]) -> None:
        """Keep those changes of names for good."""
        left = []
        for step in self._steps:
            if any(is_kept(name) for name, _ in step):
                _change(self._synced, step)
            else:
                left.append(step)
        self._steps = left

    def after_cut(self) -> Iterator[tuple[Path, bytes | None]]:
        """Yield what may be there after a power cut: folders, before what is in them, and files with their content."""
        names, random = dict(self._synced), self._random
        share = random.choice((0.0, 0.5, 1.0, random.random()))
        if self._is_strict:
            steps = [step for step in self._steps if random.random() < share]
        else:
            steps = self._steps[: round(share * len(self._steps))]
        for step in steps:
            _change(names, step)
        for path, file in sorted(names.items()):
            if all(names.get(parent) is _FOLDER for parent in path.parents):
                yield path, None if file is _FOLDER else file.after_cut(random)


def _change(names: _Names, step: _Step) -> None:
    for path, file in step:
        if file is not None:
            names[path] = file
        else:
            names.pop(path, None)


def _sectors(start: int, end: int, grain: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a range that are in one sector each."""
    while start < end:
        stop = min(end, (start // grain + 1) * grain)
        yield start, stop
        start = stop

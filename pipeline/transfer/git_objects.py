"""Git objects: the folders of a repository's objects hold nothing that git would wait for."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.errors import Trouble
from pipeline.text import printable

_LONGEST_LIST = 65_536
_MOST_FOLDERS = 20
"""Of repositories that lend objects to each other; git follows five."""
_WAITED_FOR = (stat.S_ISFIFO, stat.S_ISSOCK, stat.S_ISCHR, stat.S_ISBLK)


def refuse_pipes(objects: Path) -> None:
    """Raise Trouble for a pipe, socket or device where git expects objects, or where those that it borrows are.

    Git opens them by name, and would wait for a pipe's writer for ever. What cannot be read here, git will complain of.
    """
    folders, seen = [objects], set[Path]()
    while folders and len(seen) < _MOST_FOLDERS:
        folder = folders.pop()
        if folder in seen or not folder.is_dir():
            continue
        seen.add(folder)
        for path in _special_files(folder):
            raise Trouble(f"{printable(str(path))} is not a regular file: git would wait for it", remedy="remove it")
        folders += _lent_from(folder)


def _special_files(objects: Path) -> Iterator[Path]:
    """Yield what is no file in a folder of objects, and in the folders in it."""
    inside: list[Path] = []
    with suppress(OSError), os.scandir(objects) as entries:
        inside = [Path(entry.path) for entry in entries if entry.is_dir()]
    for folder in (objects, *inside):
        with suppress(OSError), os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if _is_special(entry))


def _is_special(entry: os.DirEntry[str]) -> bool:
    if entry.is_file(follow_symlinks=False):  # nearly all are, and the listing says so: none is looked at
        return False
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link that leads nowhere
        return False
    return any(is_kind(mode) for is_kind in _WAITED_FOR)


def _lent_from(objects: Path) -> list[Path]:
    """Return the folders of objects that a repository borrows. The list is a plain file, or there is none."""
    try:
        with (objects / "info" / "alternates").open("rb") as file:
            lines = file.read(_LONGEST_LIST).splitlines()
    except OSError:
        return []
    return [objects / os.fsdecode(line) for line in lines if line and b"\0" not in line and not line.startswith(b"#")]

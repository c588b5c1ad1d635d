"""Git's log: commits and the files that each changed, as `git diff-tree -z --raw -c` prints them."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import Trouble

FORMAT = "%H/%ct/%at/%P"
"""How git is to print a commit: its id, when it was committed and written, in seconds since 1970, and its parents."""

MOST_FILES = 1_000_000
"""Files of a commit, or changed by one: some 400 MB. A few small objects can make a tree of billions."""
_LONGEST_TIME = 15
"""Digits: git prints a date as the commit has it, however long it is."""
_DELETED = b"000000"
_SUBMODULE = b"160000"
_LINK = b"120000"


class Change(NamedTuple):
    """A file that a commit changed."""

    path: bytes
    mode: bytes
    blob: bytes
    """The id of its content after the commit."""
    before: tuple[bytes, ...]
    """The ids of its content in each parent; all zeros where there was none."""

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, the content of which is a path."""
        return self.mode == _LINK

    @property
    def is_submodule(self) -> bool:
        """Whether it is a submodule, which has no content here."""
        return self.mode == _SUBMODULE


@dataclass(slots=True)
class Commit:
    """A commit; its times in seconds since 1970, None where git cannot read them."""

    id: str
    committed_at: int | None
    authored_at: int | None
    parents: list[str]
    changes: list[Change] = field(default_factory=list)

    def versions(self, group: Callable[[bytes], Hashable]) -> Iterator[Change]:
        """Yield the changes that brought content: not deletions, changes of a mode, or files that were only moved.

        A file was moved if its content was deleted at another path of the same `group` of paths.
        """
        gone = Counter((change.before[0], group(change.path)) for change in self.changes if change.mode == _DELETED)
        for change in self.changes:
            if change.mode == _DELETED or change.blob in change.before:
                continue
            if gone and not any(map(_exists, change.before)):
                moved = change.blob, group(change.path)
                if gone[moved]:
                    gone[moved] -= 1
                    continue
            yield change


def _exists(blob: bytes) -> bool:
    return blob.strip(b"0") != b""


def read_log(chunks: Iterable[bytes]) -> Iterator[Commit]:
    """Yield the commits in what git printed. Of a merge there are only the files that differ from each parent's.

    Raise Trouble for a commit that changes too many files.
    """
    commit = None
    change = b""
    for field_ in fields(chunks):
        if change and commit is not None:
            commit.changes.append(_change(change, field_))
            if len(commit.changes) > MOST_FILES:
                raise Trouble(f"commit {commit.id} changes more than {MOST_FILES:,} files")
            change = b""
            continue
        text = field_.lstrip(b"\n")
        if text.startswith(b":"):
            change = text
        elif text:
            if commit is not None:
                yield commit
            commit = _commit(text)
    if commit is not None:
        yield commit


def fields(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what stands between NUL bytes."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    yield rest


def _commit(text: bytes) -> Commit:
    name, committed, authored, parents = text.decode("ascii").split("/")
    return Commit(name, _seconds(committed), _seconds(authored), parents.split())


def _seconds(text: str) -> int | None:
    return int(text) if text.isdigit() and len(text) <= _LONGEST_TIME else None


def _change(text: bytes, path: bytes) -> Change:
    """Return a change: a colon, a mode and an id for each parent, mode and id of the new file, and what happened."""
    words = text.lstrip(b":").split()
    parents = len(text) - len(text.lstrip(b":"))
    blobs = words[parents + 1 : 2 * parents + 2]
    return Change(path, words[parents], blobs[-1], tuple(blobs[:-1]))

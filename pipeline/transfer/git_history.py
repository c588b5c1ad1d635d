"""Git history: the versions of the files in a repository as an archive, each received when it was committed.

A version is a content that a commit gave to a file: unlike its parents', and not just moved from another path that is
read. Of a file of many documents or lines, only what the version before did not hold is new.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from pipeline.errors import Trouble, Undecodable
from pipeline.text import count, few
from pipeline.transfer.archives import Lines, Part, entries_of
from pipeline.transfer.entries import Entry, Place, Problem, Received, Remark
from pipeline.transfer.git_log import Change, Commit
from pipeline.transfer.git_paths import GitPaths, Others, shown
from pipeline.transfer.json_collections import Item, holds_many, items, symbol_in
from pipeline.transfer.json_files import OneResponse, holds_lines
from pipeline.transfer.name_patterns import Named, NamePattern
from pipeline.transfer.repository import AT_ONCE, Blobs, Repository
from pipeline.transfer.streams import (
    STREAM_ERRORS,
    Held,
    OnRead,
    is_gzipped,
    open_stream,
    stream_problem,
    without_mark,
    wrong_encoding,
)

LARGEST_FILE = 128 * 2**20
"""Bytes of a version: ten times as many as every company that the API lists takes in one file."""
_REMEMBERED = 16
"""Versions whose documents are remembered: of as many files of many documents as one commit may change."""
_MOST_KEYS = 500_000
"""Documents or lines that are remembered of all of them together: some 50 MB, but for one version that has more."""
_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = b"annex/objects/"
_LONGEST_LINK = 400
"""Bytes of a file, or a link, that says where git-annex keeps the content."""
_ID_CHARACTERS = 10
_EXAMPLES = 3
_REWRITTEN = timedelta(days=1)
"""A commit made so much later than it was written was made by a rebase or its like."""


class GitHistory:
    """The versions of the files of a repository.

    `by_author`: their time is when the commit was written, not when it was made. `each`: a file holds many documents.
    """

    def __init__(
        self,
        repository: Repository,
        received: Received,
        pattern: NamePattern | None,
        *,
        by_author: bool,
        each: bool,
    ) -> None:
        self._repository = repository
        self._received = received
        self._paths = GitPaths(pattern)
        self._by_author = by_author
        self._each = each
        self._place = Place(str(repository.path))

    @property
    def noun(self) -> str:
        """What is counted."""
        return "document" if self._each else "version"

    @property
    def size(self) -> int:
        """The sum of what `on_read` will be called with: 1 for each commit."""
        return self._repository.commit_count()

    def check(self) -> None:
        """Raise Trouble if there is nothing to import, or if it is not clear which files are meant."""
        path = self._repository.path
        if self._repository.tip in self._repository.boundary:
            raise Trouble(f"{path} is a shallow clone, without history", remedy="run git fetch --unshallow in it")
        if not self._paths.are_chosen:
            self._paths.check_unambiguous(self._repository.paths())
        others: list[str] = []
        for commit in self._repository.commits(newest_first=True):
            for change in commit.changes:
                if self._paths.named(change.path) is not None:
                    return
                if len(others) < _EXAMPLES and change.path.endswith(b".json") and shown(change.path) not in others:
                    others.append(shown(change.path))
        has = f"it has {few(others)}" if others else "as in --path 'data/{symbol}.json'"
        raise Trouble(f"no file in {path} matches {self._paths}", remedy=has)

    def parts_to_check(self, on_read: OnRead) -> Iterator[Part]:
        """Yield the versions, as `entries` reads them. Raise Trouble if git cannot read the repository."""
        return self._parts(on_read)

    def entries(self, on_read: OnRead) -> Iterator[Entry]:
        """Yield the entries of all versions. Raise Trouble if git cannot read the repository."""
        return entries_of(self._parts(on_read), on_read)

    def _parts(self, on_read: OnRead) -> Iterator[Part]:
        dates = _Dates(by_author=self._by_author)
        unmatched = Others(f"skipped, their paths do not match {self._paths}")
        links = Others("skipped, links or submodules")
        wanted = self._wanted(dates, unmatched, on_read)
        with self._repository.blobs() as blobs, self._repository.blobs() as earlier:
            contents = _Contents(earlier, each=self._each)
            while some := list(islice(wanted, AT_ONCE)):
                blobs.request(one.version.blob for one in some if not one.version.is_submodule)
                for one in some:
                    content = None if one.version.is_submodule else blobs.next(LARGEST_FILE)
                    if one.version.is_submodule or (one.version.is_link and _ANNEX not in (content or b"")):
                        links.add(one.version.path)
                    else:
                        yield from self._of_version(one, content, contents)
        if self._repository.boundary:
            yield Remark(self._place, _SHALLOW)
        yield from unmatched.remarks(self._place)
        yield from links.remarks(self._place)
        yield from (Remark(self._place, remark) for remark in dates.remarks())

    def _wanted(self, dates: "_Dates", unmatched: Others, on_read: OnRead) -> Iterator["_Version"]:
        """Yield the versions whose paths match."""
        for commit in self._repository.commits():
            on_read(1)
            dates.add(commit)
            if commit.id in self._repository.boundary:
                continue
            for version in commit.versions(self._paths.group):
                named = self._paths.named(version.path)
                if named is None:
                    unmatched.add(version.path)
                else:
                    yield _Version(commit, version, named)

    def _of_version(self, one: "_Version", stored: bytes | None, contents: "_Contents") -> Iterator[Part]:
        commit, version, named = one
        name = f"{commit.id[:_ID_CHARACTERS]}:{shown(version.path)}"
        try:
            at = _known_at(named, commit, by_author=self._by_author)
            content = _text(stored)
            received = replace(self._received, observed_at=at, symbol=named.symbol)
            if self._each:
                for item in contents.new_items(version, content):
                    place = Place(f"{name}, {item.name}")
                    yield OneResponse(place, item.content, named.symbol or item.symbol, received)
            elif holds_lines(content):
                yield Lines(Held(name, contents.new_lines(version, content)), received)
            else:
                yield OneResponse(Place(name), content, named.symbol or _symbol_in(content), received)
        except ValueError as error:
            yield Problem(Place(name), str(error))


class _Version(NamedTuple):
    """A version of a file that is read, and what its path says."""

    commit: Commit
    version: Change
    named: Named


_SHALLOW = (
    "a shallow clone: what its oldest commits changed is not known, and not imported;"
    " git fetch --unshallow gets the rest"
)


def _known_at(named: Named, commit: Commit, *, by_author: bool) -> datetime:
    """Return since when a version was known: its commit's time, or that in its path, whichever is earlier.

    Raise ValueError if there is none, or one that no calendar has.
    """
    seconds = commit.authored_at if by_author else commit.committed_at
    try:
        at = datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (OverflowError, OSError, ValueError):
        at = None
    if at is None:
        raise ValueError("its commit has no valid date")
    return min(at, named.received_at() or at)


def _symbol_in(content: bytes) -> str | None:
    """Return the symbol that a document names; None if it names none. Raise ValueError for many documents."""
    symbol = symbol_in(content)
    if symbol is None and holds_many(content):
        raise ValueError("holds many documents: add --each, which reads each of them")
    return symbol


class _Contents:
    """Which documents or lines of a version are new."""

    def __init__(self, blobs: Blobs, *, each: bool) -> None:
        self._blobs = blobs
        self._each = each
        self._known: OrderedDict[bytes, frozenset[int]] = OrderedDict()

    def new_items(self, version: Change, content: bytes) -> list[Item]:
        """Return the documents that the versions before did not hold. Raise Undecodable if there are none."""
        found = items(content)
        before = self._before(version)
        self._remember(version.blob, frozenset(map(_item_key, found)))
        return [item for item in found if _item_key(item) not in before]

    def new_lines(self, version: Change, content: bytes) -> bytes:
        """Return the lines that the versions before did not hold, each at its place; the others are empty."""
        lines = content.split(b"\n")
        before = self._before(version)
        self._remember(version.blob, frozenset(map(_line_key, lines)))
        return b"\n".join(b"" if _line_key(line) in before else line for line in lines)

    def _before(self, version: Change) -> frozenset[int]:
        return frozenset[int]().union(*map(self._keys, version.before))

    def _keys(self, blob: bytes) -> frozenset[int]:
        """Return what a version held, for comparison; nothing if it cannot be read."""
        if blob in self._known:
            self._known.move_to_end(blob)
            return self._known[blob]
        keys: frozenset[int] = frozenset()
        with suppress(Undecodable):
            content = _text(self._blobs.read(blob, LARGEST_FILE))
            keys = frozenset(map(_item_key, items(content)) if self._each else map(_line_key, content.split(b"\n")))
        self._remember(blob, keys)
        return keys

    def _remember(self, blob: bytes, keys: frozenset[int]) -> None:
        self._known[blob] = keys
        while len(self._known) > _REMEMBERED or (len(self._known) > 1 and self._key_count() > _MOST_KEYS):
            self._known.popitem(last=False)

    def _key_count(self) -> int:
        return sum(map(len, self._known.values()))


def _text(content: bytes | None) -> bytes:
    """Return a file's text, unpacked and without a byte order mark. Raise Undecodable if there is none."""
    if content is None:
        raise Undecodable("its content is not in this clone: clone the repository without --filter")
    if content.startswith(_LFS):
        raise Undecodable("is a Git LFS pointer, and not the content, which the repository does not hold")
    if len(content) < _LONGEST_LINK and _ANNEX in content:
        raise Undecodable("is a git-annex pointer, and not the content, which the repository does not hold")
    if is_gzipped(content):
        content = _unpacked(content)
    if len(content) > LARGEST_FILE:
        raise Undecodable(f"is larger than {LARGEST_FILE // 2**20} MB")
    if encoding := wrong_encoding(content):
        raise Undecodable(encoding)
    return without_mark(content)


def _unpacked(content: bytes) -> bytes:
    try:
        with open_stream(Held("", content), lambda _bytes: None) as stream:
            return stream.read(LARGEST_FILE + 1)
    except STREAM_ERRORS as error:
        raise Undecodable(stream_problem(error, 0)) from None


def _item_key(item: Item) -> int:
    return hash((item.symbol, item.content))


def _line_key(line: bytes) -> int:
    return hash(line.strip())


@dataclass(slots=True)
class _Dates:
    """What the dates of commits show about the clocks that they come from."""

    by_author: bool
    commits: int = 0
    rewritten: int = 0
    backwards: int = 0
    last: Commit | None = None

    def add(self, commit: Commit) -> None:
        """Count a commit."""
        self.commits += 1
        if commit.committed_at is not None and commit.authored_at is not None:
            self.rewritten += commit.committed_at - commit.authored_at > _REWRITTEN.total_seconds()
        before, now = (self._time(one) for one in (self.last, commit))
        if self.last is not None and self.last.id in commit.parents and before is not None and now is not None:
            self.backwards += now < before
        self.last = Commit(commit.id, commit.committed_at, commit.authored_at, [])

    def _time(self, commit: Commit | None) -> int | None:
        if commit is None:
            return None
        return commit.authored_at if self.by_author else commit.committed_at

    def remarks(self) -> Iterator[str]:
        """Yield what should be known."""
        if self.backwards:
            yield (
                f"{count(self.backwards, 'commit')} with an earlier date than the commit before:"
                " a clock was wrong, and documents may be filed too early"
            )
        if not self.by_author and 2 * self.rewritten > self.commits:
            yield (
                f"{self.rewritten:,} of {count(self.commits, 'commit')} were made more than a day after they were"
                " written, as by a rebase; --author-date files documents under when they were written"
            )

"""Git's log: what git prints, however it comes in pieces."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from pipeline.transfer.git_log import Change, Commit, read_log

NONE = b"0" * 40

_ids = st.binary(min_size=20, max_size=20).map(lambda raw: raw.hex().encode())
_paths = st.binary(min_size=1, max_size=12).filter(lambda path: b"\0" not in path)
_modes = st.sampled_from([b"100644", b"100755", b"120000", b"160000", b"000000"])
_times = st.none() | st.integers(0, 10**15 - 1)


def _changes(parents: int) -> st.SearchStrategy[Change]:
    before = st.tuples(*[_ids | st.just(NONE)] * parents)
    return st.builds(Change, _paths, _modes, _ids, before)


@st.composite
def _commits(draw: st.DrawFn) -> Commit:
    parents = [one.decode() for one in draw(st.lists(_ids, max_size=3))]
    changes = draw(st.lists(_changes(max(1, len(parents))), max_size=4))
    return Commit(draw(_ids).decode(), draw(_times), draw(_times), parents, changes)


def printed(commit: Commit) -> bytes:
    """Return a commit as git 2.39 prints it: a merge has a NUL before its files, any other commit a line end."""
    times = "/".join("" if at is None else str(at) for at in (commit.committed_at, commit.authored_at))
    text = f"{commit.id}/{times}/{' '.join(commit.parents)}".encode() + b"\0"
    if commit.changes:
        text += b"\0" if len(commit.parents) > 1 else b"\n"
    for change in commit.changes:
        colons, modes = b":" * len(change.before), [b"100644"] * len(change.before)
        words = [*modes, change.mode, *change.before, change.blob, b"M" * len(change.before)]
        text += colons + b" ".join(words) + b"\0" + change.path + b"\0"
    return text


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


@given(st.lists(_commits(), max_size=4), st.integers(1, 200))
def test_what_git_prints_is_read_whatever_the_names_and_pieces(commits: list[Commit], size: int) -> None:
    assert list(read_log(pieces(b"".join(map(printed, commits)), size))) == commits


def version(path: bytes, blob: bytes, *before: bytes, mode: bytes = b"100644") -> Change:
    return Change(path, mode, blob, before)


def test_as_many_files_were_moved_as_are_gone() -> None:
    gone = version(b"a", NONE, b"1", mode=b"000000")
    first, second, changed = version(b"b", b"1", NONE), version(b"c", b"1", NONE), version(b"d", b"1", b"2")
    commit = Commit("x", 0, 0, [], [gone, first, second, changed])
    assert list(commit.versions(lambda _path: None)) == [second, changed]


def test_a_file_that_came_from_another_group_is_a_version() -> None:
    gone = version(b"a", NONE, b"1", mode=b"000000")
    come = version(b"b", b"1", NONE)
    assert list(Commit("x", 0, 0, [], [gone, come]).versions(lambda path: path)) == [come]


def test_a_date_of_any_length_is_a_number_or_none() -> None:
    (commit,) = read_log([b"a" * 40 + b"/" + b"9" * 5000 + b"/5/\0"])
    assert (commit.committed_at, commit.authored_at) == (None, 5)

"""Repositories: commits and files of a git repository, read by git, which gets no configuration of the repository.

A repository may come from anywhere, and its configuration can name programs for git to run. So git only looks up with
it where the objects are and what a branch's commit is. All else is read by way of an empty repository in a temporary
folder, which borrows the objects: without configuration, hooks, attributes, replaced objects, or a remote to fetch
anything from.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir

from pipeline.errors import Trouble, file_reason
from pipeline.partials import scratch_folder
from pipeline.redaction import HIDDEN
from pipeline.text import few, printable, quoted
from pipeline.transfer.git_log import FORMAT, MOST_FILES, Commit, fields, read_log
from pipeline.transfer.git_objects import refuse_pipes
from pipeline.transfer.git_process import CHUNK_BYTES, Git, chunks

_CONFIGURATION = """\
[core]
\trepositoryformatversion = 1
\tbare = true
\tcommitGraph = false
\tbigFileThreshold = 1m
\tdeltaBaseCacheLimit = 16m
[extensions]
\tobjectFormat = {}
"""
"""Of the temporary repository. A commit graph could contradict the commits; larger files are read piece by piece."""
_BRANCHES = ("refs/heads/{}", "refs/tags/{}", "refs/remotes/{}", "refs/remotes/origin/{}", "refs/{}")
"""Where a branch or tag is looked up; in `refs` itself one that is named in full, `refs/heads/main`."""
_REF = re.compile(r"(?!-)[^\x00-\x20~^:?*\[\\\x7f]{1,200}")
_ID = re.compile(r"[0-9a-f]{4,64}")
_URL = re.compile(r"[^/]+:")
"""As in https://host/repository.git and user@host:repository.git."""
_PASSWORD = re.compile(r"(?<=://)[^/@]*(?=@)")
AT_ONCE = 60
"""Files that git is asked for at once, and reads while those before are imported. Their ids, SHA-256 too, fit into the
smallest pipe (4,096 bytes): writing them never waits for git, which may wait until its answers are read."""
_LARGEST_SHALLOW = 16 << 20
"""Bytes of the ids of commits before which a clone holds nothing: each takes 41 or 65."""
_COUNTED_WITHIN = 3600.0
"""Seconds for git to count commits: some minutes for tens of millions of them."""
_NAMED = 5


def refuse_url(text: str) -> None:
    """Raise Trouble, with the line that clones it, for the address of a repository on another machine."""
    if _URL.match(text) and not Path(text).exists():
        url = printable(_PASSWORD.sub(HIDDEN, text))
        raise Trouble(f"{url} is an address", remedy=f"clone it first (git clone --bare {url}), and name the folder")


@contextmanager
def open_repository(path: Path, branch: str | None) -> Iterator["Repository"]:
    """Open a repository at the newest commit of a branch or tag, or of what is checked out; end its processes after.

    Raise Trouble if it is none, git is absent, or there is no such branch.
    """
    git = shutil.which("git")
    if git is None:
        raise Trouble("git is not installed, and only git can read a repository", remedy="install it (apt install git)")
    directory = _git_directory(path)
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(scratch_folder("git"))
            theirs = Git(git, scratch, {"GIT_DIR": str(directory)})
            objects = scratch / theirs.answer("rev-parse", "--git-path", "objects")
            refuse_pipes(objects)
            shallow = scratch / theirs.answer("rev-parse", "--git-path", "shallow")
            ours = _prepare(scratch, theirs.answer("rev-parse", "--show-object-format"), shallow)
        except OSError as error:
            raise Trouble(f"{path} cannot be read by way of {gettempdir()}: {file_reason(error)}") from None
        reading = Git(git, scratch, {"GIT_DIR": str(ours), "GIT_OBJECT_DIRECTORY": str(objects)})
        tip = _tip(path, theirs, reading, branch)
        stack.callback(reading.close)
        yield Repository(path, reading, tip, _boundary(ours / "shallow"))


def _git_directory(path: Path) -> Path:
    """Return where git keeps a repository's data: of a worktree or submodule, `.git` is a file that says it."""
    try:
        inside = path / ".git"
        if inside.is_file():
            with inside.open("rb") as file:
                link = file.read(CHUNK_BYTES).removeprefix(b"gitdir: ").rstrip(b"\r\n")
            target = Path(path, os.fsdecode(link)).absolute()
            if not target.is_dir():
                raise Trouble(f"{path} is a work tree of {printable(str(target))}, which is not there")
            return target
        if inside.is_dir():
            return inside.absolute()
        if (path / "HEAD").is_file() and (path / "objects").is_dir():
            return path.absolute()
        path.stat()
    except (OSError, ValueError) as error:
        raise Trouble(f"{path} cannot be read: {file_reason(error)}") from None
    raise Trouble(f"{path} is not a git repository", remedy="name the folder that holds .git, or a bare repository")


def _prepare(scratch: Path, object_format: str, shallow: Path) -> Path:
    """Make the empty repository by way of which the objects are read, and return its folder."""
    ours = scratch / "git"
    (ours / "refs").mkdir(parents=True)
    (ours / "HEAD").write_text("ref: refs/heads/none\n")
    (ours / "config").write_text(_CONFIGURATION.format("sha256" if object_format == "sha256" else "sha1"))
    if shallow.is_file():
        with shallow.open("rb") as theirs, (ours / "shallow").open("wb") as copy:
            copy.write(theirs.read(_LARGEST_SHALLOW))
    return ours


def _boundary(shallow: Path) -> frozenset[str]:
    return frozenset(shallow.read_text("ascii", "replace").split()) if shallow.exists() else frozenset()


def _tip(path: Path, theirs: "Git", reading: "Git", branch: str | None) -> str:
    """Return the id of a branch's newest commit. Raise Trouble if there is none."""
    if branch is None:
        found = theirs.find("rev-parse", "--verify", "--quiet", "HEAD")
    elif ".." in branch or "@{" in branch or not _REF.fullmatch(branch):
        found = None
    else:
        name = branch.removeprefix("refs/")
        names = (theirs.find("rev-parse", "--verify", "--quiet", where.format(name)) for where in _BRANCHES)
        found = next(filter(None, names), branch if _ID.fullmatch(branch) else None)
    tip = found and reading.find("rev-parse", "--verify", "--quiet", f"{found}^{{commit}}")
    if tip:
        return tip
    heads = theirs.answer(
        "for-each-ref", f"--count={10 * _NAMED}", "--format=%(refname:short)", "refs/heads", "refs/remotes"
    )
    others = [printable(name) for name in heads.splitlines()]
    has = f"it has {few(others, _NAMED)}" if others else "it is empty"
    if branch is None:
        raise Trouble(f"{path} has no commit to begin with", remedy=f"{has}; choose with --branch" if others else has)
    raise Trouble(f"{path} has no branch, tag or commit {quoted(branch)}", remedy=has)


class Blobs:
    """The contents of files, by their ids, as one process of git reads them."""

    def __init__(self, process: subprocess.Popen[bytes], failure: Callable[[], Trouble]) -> None:
        assert process.stdin is not None, "opened with a pipe"
        assert process.stdout is not None, "opened with a pipe"
        self._input, self._output = process.stdin, process.stdout
        self._failure = failure

    def read(self, blob: bytes, most: int) -> bytes | None:
        """Return a content, as `next` does."""
        self.request([blob])
        return self.next(most)

    def request(self, blobs: Iterable[bytes]) -> None:
        """Request contents, at most `AT_ONCE` ahead of reading them. Raise Trouble if git fails."""
        try:
            self._input.write(b"".join(blob + b"\n" for blob in blobs))
            self._input.flush()
        except (OSError, ValueError):
            raise self._failure() from None

    def next(self, most: int) -> bytes | None:
        """Return the next content requested; of one longer than `most`, that many bytes and one.

        None if it is not in the repository. Raise Trouble if git fails.
        """
        try:
            head = self._output.readline().split()
        except (OSError, ValueError):
            raise self._failure() from None
        if head[1:] == [b"missing"]:
            return None
        if len(head) != 3:
            raise self._failure()
        size = int(head[2])
        content = self._output.read(min(size, most + 1))
        rest = size + 1 - len(content)
        while rest:
            skipped = self._output.read(min(rest, CHUNK_BYTES))
            if not skipped:
                raise self._failure()
            rest -= len(skipped)
        return content


class Repository:
    """A repository at one commit, so that it reads the same twice, whatever is committed or fetched meanwhile."""

    def __init__(self, path: Path, git: Git, tip: str, boundary: frozenset[str]) -> None:
        self.path = path
        self.tip = tip
        self.boundary = boundary
        """The commits before which a shallow clone holds nothing: what each of them changed cannot be known."""
        self._git = git

    def commit_count(self) -> int:
        """Return how many commits there are. Raise Trouble if they cannot be read."""
        return int(self._git.answer("rev-list", "--count", self.tip, within=_COUNTED_WITHIN))

    def commits(self, *, newest_first: bool = False) -> Iterator[Commit]:
        """Yield the commits from which the tip was made, each after its parents. Raise Trouble if one cannot be read.

        By their dates, as far as that puts no commit before its parents.
        """
        order = [] if newest_first else ["--reverse"]
        with self._git.started("rev-list", "--date-order", *order, self.tip) as listing:
            words = ("-z", "-r", "--root", "-c", "--raw", "--no-renames", "--no-abbrev", "--always")
            with self._git.started(
                "diff-tree", "--stdin", *words, f"--format={FORMAT}", stdin=listing.stdout or subprocess.DEVNULL
            ) as changes:
                if listing.stdout is not None:
                    listing.stdout.close()
                yield from read_log(chunks(changes))
                if changes.wait() or listing.wait():
                    raise self._git.failure()

    def paths(self) -> Iterator[bytes]:
        """Yield the paths of the newest commit. Raise Trouble if there are too many."""
        with self._git.started("ls-tree", "-r", "-z", "--name-only", "--full-tree", self.tip) as process:
            for number, path in enumerate(filter(None, fields(chunks(process))), 1):
                if number > MOST_FILES:
                    why = f"{self.path} has more than {MOST_FILES:,} files"
                    raise Trouble(why, remedy="choose which are read, as with --path 'data/{symbol}.json'")
                yield path

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """Open the contents of files."""
        with self._git.started("cat-file", "--batch", stdin=subprocess.PIPE) as process:
            yield Blobs(process, self._git.failure)

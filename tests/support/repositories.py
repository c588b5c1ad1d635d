"""Git repositories to import, made by git itself, and what is read of them."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.instants import to_text
from pipeline.model.document import Overview
from pipeline.redaction import NOTHING_SECRET
from pipeline.transfer.entries import Entry, Problem, Received, RecordedResponse, Remark
from pipeline.transfer.git_history import GitHistory
from pipeline.transfer.name_patterns import NamePattern
from pipeline.transfer.repository import open_repository
from tests.support.archives import NOW

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")

Content = bytes | None | tuple[str, bytes]
"""A file's content; None deletes it; with a mode, it is a link, a submodule or a program."""

NOON = int(datetime(2024, 3, 14, 12, tzinfo=UTC).timestamp())
DAY = 86_400


def document(symbol: str = "IBM", **fields: str) -> bytes:
    """Return an overview as a collector writes it."""
    return json.dumps({"Symbol": symbol, "Name": "x", **fields}).encode()


class Making:
    """A repository in the making: commits, which one `git fast-import` writes."""

    def __init__(self, folder: Path, *, object_format: str = "sha1") -> None:
        self.folder = folder
        self._format = object_format
        self._stream: list[bytes] = []
        self._marks = 0

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        at: int = NOON,
        written_at: int | None = None,
        branch: str = "main",
        parents: Sequence[int] = (),
        zone: str = "+0000",
    ) -> int:
        """Add a commit, and return its number. `parents`: others than the branch's last commit."""
        self._marks += 1
        written = at if written_at is None else written_at
        lines = [
            f"commit refs/heads/{branch}",
            f"mark :{self._marks}",
            f"author A <a@example.org> {written} {zone}",
            f"committer A <a@example.org> {at} {zone}",
            "data 0",
            *(f"{'merge' if number else 'from'} :{parent}" for number, parent in enumerate(parents)),
        ]
        self._stream.append("\n".join(lines).encode() + b"\n")
        for path, content in files.items():
            self._stream.append(_change(os.fsencode(path), content))
        return self._marks

    def tag(self, name: str, commit: int) -> None:
        """Add an annotated tag."""
        self._stream.append(f"tag {name}\nfrom :{commit}\ntagger A <a@example.org> 0 +0000\ndata 0\n".encode())

    def make(self) -> Path:
        """Write the repository, a bare one, and return its folder."""
        git("init", "-q", "--bare", "--template=", f"--object-format={self._format}", "-b", "main", str(self.folder))
        git("fast-import", "--quiet", "--date-format=raw-permissive", folder=self.folder, stdin=b"".join(self._stream))
        return self.folder


def _change(path: bytes, content: Content) -> bytes:
    quoted = b'"' + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in path) + b'"'
    if content is None:
        return b"D " + quoted + b"\n"
    mode, data = ("100644", content) if isinstance(content, bytes) else content
    if mode == "160000":
        return b"M 160000 %s %s\n" % (data, quoted)
    return b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), quoted, len(data), data)


def git(*words: str, folder: Path | None = None, stdin: bytes = b"") -> str:
    """Run git without the developer's configuration, and return what it prints."""
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        input=stdin,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def history(
    path: Path,
    pattern: str | None = "data/{symbol}.json",
    *,
    branch: str | None = None,
    by_author: bool = False,
    each: bool = False,
    now: datetime = NOW,
) -> list[Entry]:
    """Return the entries of a repository's history."""
    chosen = None if pattern is None else NamePattern(pattern, names_something=False)
    with open_repository(path, branch) as opened:
        found = GitHistory(opened, Received(None, now, NOTHING_SECRET), chosen, by_author=by_author, each=each)
        found.check()
        return list(found.entries(lambda _commits: None))


def observed(entries: Sequence[Entry]) -> list[tuple[str, str, Any]]:
    """Return symbol, time and PERatio of each response; of what is no overview, its kind. There are no problems."""
    assert [one for one in entries if isinstance(one, Problem) and not isinstance(one, Remark)] == []
    return [
        (one.symbol, to_text(one.observed_at)[:16], _value(one)) for one in entries if isinstance(one, RecordedResponse)
    ]


def _value(one: RecordedResponse) -> Any:
    return one.response.document.get("PERatio") if isinstance(one.response, Overview) else one.response.kind


def remarks(entries: Sequence[Entry]) -> list[str]:
    """Return the remarks among entries."""
    return [one.reason for one in entries if isinstance(one, Remark)]


def mistakes(entries: Sequence[Entry]) -> list[str]:
    """Return the reasons of the problems that are bad."""
    return [one.reason for one in entries if isinstance(one, Problem) and not isinstance(one, Remark)]

"""Repositories: nothing in one runs a program, reaches the network, or hangs; and what is none is one line."""

import os
import signal
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Trouble
from pipeline.transfer.git_process import Git
from pipeline.transfer.repository import open_repository, refuse_url
from tests.support.repositories import DAY, NOON, Making, document, git, history, mistakes, needs_git, observed

pytestmark = [pytest.mark.process, needs_git]

ONE = [("IBM", "2024-03-14T12:00", "1")]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    making = Making(tmp_path / "r.git")
    making.commit({"data/IBM.json": document(PERatio="1")})
    return making.make()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a program that leaves a trace when it is run."""
    path = tmp_path / "evil"
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 0\n")
    path.chmod(0o755)
    return path


def test_no_configuration_of_a_repository_runs_a_program(made: Path, program: Path, tmp_path: Path) -> None:
    settings = {
        "core.fsmonitor": program, "core.pager": program, "core.hooksPath": tmp_path, "core.sshCommand": program,
        "core.editor": program, "core.askPass": program, "core.gitProxy": program, "core.alternateRefsCommand": program,
        "diff.external": program, "diff.x.command": program, "diff.x.textconv": program, "filter.x.smudge": program,
        "gpg.program": program, "log.showSignature": "true", "credential.helper": program, "pager.log": program,
        "uploadpack.packObjectsHook": program, "alias.rev-list": f"!{program}", "trace2.eventTarget": tmp_path / "ran",
        "extensions.partialClone": "origin", "remote.origin.promisor": "true", "protocol.allow": "always",
        "remote.origin.url": f"ext::{program}", "remote.origin.vcs": "ext", "protocol.ext.allow": "always",
        "log.diffMerges": "off", "diff.orderFile": tmp_path / "absent", "core.commitGraph": "true",
    }  # fmt: skip
    for name, value in settings.items():
        git("config", name, str(value), folder=made)
    (made / "info").mkdir(exist_ok=True)
    (made / "info" / "attributes").write_text("* diff=x filter=x\n")
    (made / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (made / "hooks" / hook).symlink_to(program)
    blob = git("rev-parse", "HEAD:data/IBM.json", folder=made)
    (made / "objects" / blob[:2] / blob[2:]).unlink(missing_ok=True)

    history(made)

    assert not (tmp_path / "ran").exists()


def test_a_missing_content_is_not_fetched_from_a_remote_that_is_a_program(
    program: Path, tmp_path: Path, made: Path
) -> None:
    git("config", "uploadpack.allowFilter", "true", folder=made)
    clone = tmp_path / "clone"
    git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{made}", str(clone))
    git("config", "remote.origin.url", f"ext::{program} %S", folder=clone)
    git("config", "protocol.ext.allow", "always", folder=clone)
    assert ["without --filter" in reason for reason in mistakes(history(clone))] == [True]
    with pytest.raises(Trouble, match="no branch, tag or commit"):
        history(clone, branch="1234567")
    assert not (tmp_path / "ran").exists()


def test_variables_of_git_are_not_passed_on(
    made: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "GIT_DIR": tmp_path / "absent", "GIT_OBJECT_DIRECTORY": tmp_path / "absent", "GIT_EXTERNAL_DIFF": program,
        "GIT_PAGER": program, "GIT_TRACE": tmp_path / "ran", "GIT_CONFIG_PARAMETERS": "broken",
        "GIT_EXEC_PATH": tmp_path, "GIT_NAMESPACE": "x", "GIT_SHALLOW_FILE": program,
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    assert observed(history(made)) == ONE
    assert not (tmp_path / "ran").exists()


def test_replaced_and_grafted_commits_are_not_followed(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    making.commit({"data/IBM.json": document(PERatio="1")})
    making.commit({"data/IBM.json": document(PERatio="2")}, at=NOON + DAY)
    repository = making.make()
    tip, parent = git("rev-parse", "HEAD", "HEAD~1", folder=repository).split()
    (repository / "info").mkdir(exist_ok=True)
    (repository / "info" / "grafts").write_text(f"{tip}\n")
    git("update-ref", f"refs/replace/{tip}", parent, folder=repository)
    assert [value for *_, value in observed(history(repository))] == ["1", "2"]


def test_nothing_is_written_into_a_repository(made: Path) -> None:
    def state() -> list[tuple[str, float]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in made.rglob("*"))

    before = state()
    for path in [made, *made.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    history(made)
    assert state() == before


def test_work_trees_their_links_and_shared_clones(made: Path, tmp_path: Path) -> None:
    git("clone", "-q", str(made), str(tmp_path / "clone"))
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"), folder=tmp_path / "clone")
    git("clone", "-q", "--shared", str(made), str(tmp_path / "shared"))
    git("pack-refs", "--all", folder=made)
    for path in (tmp_path / "clone", tmp_path / "tree", tmp_path / "shared", made):
        assert observed(history(path)) == ONE
    assert (tmp_path / "tree" / ".git").is_file()


def test_a_repository_reads_the_same_while_it_grows(made: Path) -> None:
    with open_repository(made, None) as repository:
        tree = git("rev-parse", "HEAD^{tree}", folder=made)
        who = ("-c", "user.name=a", "-c", "user.email=a")
        git("update-ref", "HEAD", git(*who, "commit-tree", tree, "-m", "x", folder=made), folder=made)
        assert repository.commit_count() == len(list(repository.commits())) == 1
        (commit,) = repository.commits()
        assert commit.changes != []


def test_another_users_repository_is_read(made: Path) -> None:
    """Git refuses its own commands there, for what its configuration could run."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    for path in [made, *made.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert observed(history(made)) == ONE


@pytest.mark.parametrize(
    "text",
    [
        "https://me:secret@example.org/a.git", "ssh://git@example.org/a.git", "git@example.org:a/b.git",
        "file:///srv/a.git", "ext::sh -c id", "host:a.git",
    ],
)  # fmt: skip
def test_an_address_is_refused_with_the_line_that_clones_it(text: str) -> None:
    with pytest.raises(Trouble) as refused:
        refuse_url(text)
    assert "git clone --bare" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_path_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").mkdir()
    for text in ("a:b", ".", "/srv/a:b", "./x:y", "absent"):
        refuse_url(text)


def test_what_is_no_repository_is_one_line(tmp_path: Path, made: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").write_bytes(b"gitdir: \0/absent\n")
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / ".git").write_bytes(b"gitdir: ../absent\n")
    for name, why in (
        ("absent", "no such file"), ("file", "not a git repository"), (".", "not a git repository"),
        ("linked", "which is not there"), ("lost", "which is not there"),
    ):  # fmt: skip
        with pytest.raises(Trouble, match=why):
            history(tmp_path / name)
    (made / "config").write_text("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tunknown = 1\n")
    with pytest.raises(Trouble, match=r"git cannot read the repository: .*unknown"):
        history(made)


def test_an_empty_repository_or_branch_is_one_line(tmp_path: Path, made: Path) -> None:
    with pytest.raises(Trouble, match="has no commit to begin with: it is empty"):
        history(Making(tmp_path / "empty.git").make())
    git("symbolic-ref", "HEAD", "refs/heads/gone", folder=made)
    with pytest.raises(Trouble, match="has no commit to begin with: it has main; choose with --branch"):
        history(made)
    for branch in ("gone", "--upload-pack=x", "main~1", "main@{1}", "main..main", "a b", "", "x" * 300, "0" * 40):
        with pytest.raises(Trouble, match=r"has no branch, tag or commit .*: it has main"):
            history(made, branch=branch)


def test_a_damaged_repository_is_one_line(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    making.commit({"data/IBM.json": document(PERatio="1")})
    making.commit({"data/IBM.json": document(PERatio="2")}, at=NOON + DAY)
    repository = making.make()
    tree, commit = git("rev-parse", "HEAD~1^{tree}", "HEAD~1", folder=repository).split()
    for lost in (tree, commit):
        (repository / "objects" / lost[:2] / lost[2:]).unlink()
        with pytest.raises(Trouble, match="git cannot read the repository: "):
            history(repository)


@pytest.mark.parametrize("name", ["HEAD", "config", "packed-refs"])
def test_a_pipe_among_its_files_holds_nothing_up(made: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(Git.answer, "__kwdefaults__", {"within": 0.5})
    (made / name).unlink(missing_ok=True)
    os.mkfifo(made / name)
    with pytest.raises(Trouble) as refused:
        history(made)
    assert "did not answer" in str(refused.value) or "not a git repository" in str(refused.value)


def test_git_that_was_stopped_is_said_to_have_been_silent_though_the_thread_that_stopped_it_still_lives(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill, is_refused = subprocess.Popen.kill, threading.Event()

    def kill_and_wait(process: subprocess.Popen[bytes]) -> None:
        kill(process)
        if threading.current_thread() is not threading.main_thread():
            is_refused.wait(10)

    monkeypatch.setattr(Git.answer, "__kwdefaults__", {"within": 0.5})
    monkeypatch.setattr(subprocess.Popen, "kill", kill_and_wait)
    (made / "config").unlink()
    os.mkfifo(made / "config")
    try:
        with pytest.raises(Trouble, match="did not answer"):
            history(made)
    finally:
        is_refused.set()


@pytest.mark.parametrize("name", [f"12/{'3' * 38}", "pack/pack-1.idx", "info/alternates"])
@pytest.mark.parametrize("is_lent", [False, True])
def test_a_pipe_among_its_objects_is_named(made: Path, tmp_path: Path, name: str, is_lent: bool) -> None:
    """Git opens most of them only when it has begun to list commits, and may take an hour for that."""
    objects = made / "objects"
    if is_lent:
        (objects / "info").mkdir(exist_ok=True)
        (objects / "info" / "alternates").write_text(f"# lent\n{tmp_path}/lent\n")
        objects = tmp_path / "lent"
    pipe = objects / name
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)

    with pytest.raises(Trouble, match=f"{name} is not a regular file"):
        history(made)


def test_a_tree_of_billions_of_files_is_one_line(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.transfer.git_log.MOST_FILES", 1_000)
    monkeypatch.setattr("pipeline.transfer.repository.MOST_FILES", 1_000)
    monkeypatch.setattr("pipeline.transfer.git_process._MEMORY", 64 << 20)
    entry = f"100644 blob {git('rev-parse', 'HEAD:data/IBM.json', folder=made)}"
    for _ in range(9):
        lines = "".join(f"{entry}\tf{number}.txt\n" for number in range(10))
        entry = f"040000 tree {git('mktree', folder=made, stdin=lines.encode())}"
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    commit = git(*who, "commit-tree", entry.split()[2], "-m", "bomb", folder=made)
    git("update-ref", "refs/heads/main", commit, folder=made)

    for pattern, why in ((None, "has more than 1,000 files"), ("{symbol}.json", "git cannot read .*memory")):
        with pytest.raises(Trouble, match=why):
            history(made, pattern=pattern)


def test_a_commit_of_too_many_files_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.transfer.git_log.MOST_FILES", 3)
    making = Making(tmp_path / "r.git")
    making.commit({f"data/A{number}.json": document(f"A{number}") for number in range(4)})
    with pytest.raises(Trouble, match="changes more than 3 files"):
        history(making.make())


def test_a_list_of_where_a_clone_ends_that_is_none_is_one_line(made: Path) -> None:
    (made / "shallow").write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(Trouble):
        history(made)


def test_a_signal_while_git_is_started_leaves_none_behind(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class InterruptedPopen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", InterruptedPopen)
    with pytest.raises(KeyboardInterrupt):
        history(made)
    (process,) = started
    assert process.returncode is not None


def test_without_git_one_line_says_so(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match=r"git is not installed.*install"):
        history(made)

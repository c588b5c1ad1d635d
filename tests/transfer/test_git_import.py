"""The command `import --git`: what it leaves in the database, and how it ends."""

import asyncio
import json
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import PIPELINE, Ended, assert_refused, call, environment
from tests.support.database import documents
from tests.support.recordings import needs_recordings, recorded
from tests.support.repositories import DAY, NOON, Making, document, git, needs_git
from tests.transfer.test_importing import began, counts, whole

pytestmark = [pytest.mark.process, needs_git]

PATH = ("--path", "data/{symbol}.json")


def imported(folder: Path, *arguments: str, database: str = "a.db") -> Ended:
    return call(folder, "import", "--git", "r.git", *arguments, "--database", database, "--json")


def two_versions(folder: Path) -> Path:
    making = Making(folder / "r.git")
    making.commit({"data/IBM.json": document(PERatio="1", LatestQuarter="2023-12-31"), "README.md": b"x"})
    making.commit({"data/IBM.json": document(PERatio="2", LatestQuarter="2023-12-31")}, at=NOON + DAY)
    return making.make()


@needs_recordings
def test_a_recorded_year_in_a_repository_gives_the_database_that_its_lines_give(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    lines: list[str] = []
    last: dict[str, str] = {}
    days: dict[str, dict[str, str]] = {}
    for one in recorded("daily_2023_2025.jsonl.gz"):
        days.setdefault(one["observed_at"], {})[one["symbol"]] = one["body"]
    for day, bodies in sorted(days.items())[::3]:
        at = int(datetime.fromisoformat(day).astimezone(UTC).timestamp())
        making.commit({f"data/{symbol}.json": body.encode() for symbol, body in bodies.items()}, at=at)
        changed = {symbol: body for symbol, body in bodies.items() if last.get(symbol) != body}
        lines += [json.dumps({"symbol": key, "observed_at": day, "body": body}) for key, body in changed.items()]
        last |= bodies
    making.make()
    (tmp_path / "x.jsonl").write_text("\n".join(lines))

    done = imported(tmp_path, *PATH)

    by_lines = call(tmp_path, "import", "x.jsonl", "--database", "b.db", "--json")
    assert counts(done) == counts(by_lines)
    assert whole(tmp_path / "a.db") == whole(tmp_path / "b.db")


def test_importing_again_changes_nothing_but_for_what_was_committed_since(tmp_path: Path) -> None:
    repository = two_versions(tmp_path)
    assert counts(imported(tmp_path, *PATH)) == {"lines": 2, "symbols": 1, "stored": 2, "skipped": 1}
    before = whole(tmp_path / "a.db")
    assert counts(imported(tmp_path, *PATH)) == {"lines": 2, "symbols": 1, "unchanged": 2, "skipped": 1}
    assert whole(tmp_path / "a.db") == before

    more = f"commit refs/heads/main\ncommitter A <a@b> {NOON + 2 * DAY} +0000\ndata 0\nfrom refs/heads/main^0\n"
    stream = f"{more}M 100644 inline data/IBM.json\ndata 2\n{{}}\n"
    git("fast-import", "--quiet", folder=repository, stdin=stream.encode())
    assert counts(imported(tmp_path, *PATH))["unknown"] == 1


def test_two_versions_of_one_second_are_a_conflict_and_the_first_stays(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    for value in ("1", "2", "3"):
        making.commit({"data/IBM.json": document(PERatio=value)})
    making.make()
    done = imported(tmp_path, *PATH)
    assert counts(done) == {"lines": 3, "symbols": 1, "stored": 1, "rejected": 2, "conflicts": 2}
    assert [one["PERatio"] for one in documents(tmp_path / "a.db", "IBM")] == ["1"]


def test_a_repository_that_looks_ahead_is_refused_unless_one_insists(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    making.commit({"data/IBM.json": document(LatestQuarter="2025-12-31")})
    making.make()
    done = imported(tmp_path, *PATH)
    assert done.code == 1
    assert "--allow-back-dated" in done.json["detail"]
    assert counts(imported(tmp_path, *PATH, "--allow-back-dated"))["stored"] == 1


def test_a_bad_version_is_named_and_the_rest_imported(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    making.commit({"data/IBM.json": b"{"})
    making.commit({"data/IBM.json": document()}, at=NOON + DAY)
    making.make()
    done = imported(tmp_path, *PATH)
    assert done.code == 4
    assert counts(done) == {"lines": 2, "symbols": 1, "stored": 1, "bad": 1}
    assert ":data/IBM.json: " in done.err
    assert imported(tmp_path, *PATH, "--strict").code == 1


def test_the_summary_counts_versions(tmp_path: Path) -> None:
    two_versions(tmp_path)
    done = call(tmp_path, "import", "--git", "r.git", *PATH, "--database", "a.db")
    assert "2 versions of 1 symbol" in done.out


def test_what_git_cannot_read_ends_it_with_one_line_and_a_failed_run(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git")
    for number in range(3):
        making.commit({"data/IBM.json": document(PERatio=str(number))}, at=NOON + number * DAY)
    repository = making.make()
    tree = git("rev-parse", "HEAD~2^{tree}", folder=repository)
    (repository / "objects" / tree[:2] / tree[2:]).unlink()
    done = imported(tmp_path, *PATH)
    assert done.code == 1
    assert done.json["status"] == "failed"
    assert done.err.splitlines()[-1].startswith("pipeline: run 1 failed: git cannot read the repository: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["FILES", "--git"]),
        (("x.jsonl", "--git", "r.git"), ["FILES", "--git"]),
        (("--git", "r.git", "--observed-at", "2024-03-14"), ["--observed-at"]),
        (("--git", "r.git", "--name-pattern", "{symbol}.json"), ["--name-pattern"]),
        (("--git", "r.git", "--each"), ["--each needs --path"]),
        (("--git", "r.git", "--path", "{simbol}.json"), ["unknown {simbol}"]),
        (("x.jsonl", "--path", "{symbol}.json"), ["--path needs --git"]),
        (("x.jsonl", "--branch", "main"), ["--branch needs --git"]),
        (("x.jsonl", "--author-date"), ["--author-date needs --git"]),
        (("x.jsonl", "--each"), ["--each needs --git"]),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(tmp_path: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    assert_refused(call(tmp_path, "import", *arguments), 2, *words)


def test_an_address_or_another_folder_is_refused_before_a_database_is_made(tmp_path: Path) -> None:
    for repository, word in (("https://example.org/a.git", "git clone --bare"), (".", "not a git repository")):
        assert_refused(call(tmp_path, "import", "--git", repository, "--database", "a.db"), 1, word)
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("hanging", "number"),
    [("rev-parse", signal.SIGINT), ("rev-list", signal.SIGTERM), ("cat-file", signal.SIGINT)],
)
async def test_a_signal_ends_it_and_its_git_while_git_hangs(
    tmp_path: Path, hanging: str, number: signal.Signals
) -> None:
    two_versions(tmp_path)
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = {hanging} ]; then echo $$ > {tmp_path}/pid; exec sleep 60; fi\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    program.chmod(0o755)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables: dict[str, Any] = dict(environment(tmp_path), TMPDIR=str(temporary))
    variables["PATH"] = f"{program.parent}:{variables['PATH']}"
    process = await asyncio.create_subprocess_exec(
        PIPELINE,
        *("import", "--git", "r.git", *PATH, "--database", "a.db"),
        cwd=tmp_path,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
            await asyncio.sleep(0.02)
        while hanging == "cat-file" and not began(tmp_path / "a.db"):
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, err = await process.communicate()
    assert process.returncode == 130, err
    assert (b"interrupted" in out) is began(tmp_path / "a.db")
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)

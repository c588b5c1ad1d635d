"""`pipeline run`: when it refuses to start. (The daemon that runs: test_daemon_process.py and tests/daemon.)"""

import json
import os
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import click
import pytest
from structlog.testing import capture_logs

from pipeline.cli.verbosity import fatal_errors_logged
from pipeline.errors import ExitCode, Trouble
from pipeline.store.lock import hold_daemon_lock
from tests.support.clocks import START
from tests.support.commands import KEY, assert_refused, call, run_shell
from tests.support.silent import SilentServer


def test_a_second_daemon_ends_with_6_and_names_the_first(folder: Path, silent: SilentServer) -> None:
    database = folder / "overviews.db"
    with hold_daemon_lock(database, now=START):
        ended = call(
            folder,
            *("run", "--database", str(database)),
            ALPHAVANTAGE_API_KEY=KEY,
            PIPELINE_SOURCE__BASE_URL=silent.url,
        )

    assert_refused(ended, ExitCode.BUSY, str(os.getpid()))
    silent.assert_nothing_received()


@pytest.mark.parametrize(("text", "key"), [('[symbols]\nlist = ["AAPL"]\n', ""), ("", KEY)])
def test_without_a_key_or_symbols_it_ends_with_3(
    folder: Path, configure: Callable[[str], object], text: str, key: str
) -> None:
    configure(text)

    ended = call(folder, "run", ALPHAVANTAGE_API_KEY=key)

    assert_refused(ended, ExitCode.REFUSED, "symbols" if key else "ALPHAVANTAGE_API_KEY")
    assert not (folder / "data").exists()


def test_without_a_key_the_command_that_needs_none_is_named(folder: Path) -> None:
    assert_refused(call(folder, "run"), ExitCode.REFUSED, "pipeline run --sandbox")
    assert_refused(call(folder, "run", ALPHAVANTAGE_API_KEY=""), ExitCode.REFUSED, "pipeline run --sandbox")


def test_a_damaged_database_ends_with_1_and_one_line(folder: Path) -> None:
    (folder / "overviews.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    ended = call(folder, "run", "--database", "overviews.db", ALPHAVANTAGE_API_KEY=KEY)

    assert_refused(ended, ExitCode.FAILED, "overviews.db")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--config", "absent.toml"], ExitCode.REFUSED, "absent.toml"),
        (["--database", "config"], ExitCode.FAILED, "config is a folder"),
        (["--database", "damaged.db"], ExitCode.FAILED, "damaged.db"),
    ],
    ids=["before anything is read", "before it starts", "after it has started"],
)
def test_whatever_it_ends_of_is_the_last_line_of_its_json_log(
    folder: Path, words: list[str], code: int, said: str
) -> None:
    (folder / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    (folder / ".env").write_text("no assignment\n")

    ended = call(folder, "run", *words, ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code == code
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert lines[-1]["level"] == "critical"
    assert said in lines[-1]["event"]
    assert [line["level"] for line in lines[:-1] if ".env" in line["event"]] in ([], ["warning"])


def test_on_a_terminal_it_is_left_to_be_printed_plainly_unless_json_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    with pytest.raises(Trouble), fatal_errors_logged(for_programs=False):
        raise Trouble("the disk is full")
    with capture_logs() as lines, pytest.raises(click.exceptions.Exit), fatal_errors_logged(for_programs=True):
        raise Trouble("the disk is full")

    assert [(line["event"], line["log_level"]) for line in lines] == [("the disk is full", "critical")]


@pytest.mark.process
def test_a_bug_ends_it_with_one_line_of_its_json_log(folder: Path) -> None:
    script = """
import sys
from pipeline.cli import app
from pipeline.cli.commands import run
run.refuse_foreign = lambda path: 1 / 0
sys.argv = ["pipeline", "run"]
app.main()
"""
    (folder / "bug.py").write_text(script)

    ended = run_shell(folder, '"$PYTHON" bug.py')

    assert ended.code == 1
    line = json.loads(ended.err.splitlines()[-1])
    assert line["level"] == "critical"
    assert "ZeroDivisionError" in line["exception"]
    assert "Traceback" not in ended.err.replace(json.dumps(line["exception"]), "")

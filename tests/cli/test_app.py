"""The command line itself: help, unknown commands, global options, closed pipes, and what it leaves behind."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.cli.app import COMMANDS
from pipeline.cli.commands.fleet import SUBCOMMANDS
from pipeline.errors import ExitCode
from tests.support.commands import KEY, Ended, assert_refused, call, run_shell
from tests.support.observations import database_of, seen


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert call(tmp_path, "--version") == Ended(0, f"pipeline, version {__version__}\n", "")


EVERY_COMMAND = [*COMMANDS, *(f"fleet {name}" for name in SUBCOMMANDS)]


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    ended = call(tmp_path, *command.split(), "--help")

    assert ended.code == 0
    assert ended.err == ""
    assert re.search(rf"Examples?: .*pipeline {command}", " ".join(ended.out.split()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_the_help_of_every_command_lists_the_global_options(tmp_path: Path, command: str) -> None:
    ended = call(tmp_path, *command.split(), "-h")

    assert (ended.code, ended.err) == (0, "")
    for option in ("--config", "--database", "--verbose", "--quiet"):
        assert option in ended.out
    assert ("--json" in ended.out) == (command != "mcp")  # it reports nothing: stdout is the protocol's


def test_help_lists_the_commands_and_the_exit_codes(tmp_path: Path) -> None:
    ended = call(tmp_path, "--help")

    assert ended.code == 0
    assert all(f"  {command}  " in ended.out for command in COMMANDS)
    assert "130 interrupted" in ended.out


def test_without_a_command_help_is_printed_and_it_ends_with_2(tmp_path: Path) -> None:
    ended = call(tmp_path)

    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert all(command in ended.err for command in COMMANDS)


def test_an_unknown_command_is_refused_and_the_nearest_suggested(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "stauts"), ExitCode.USAGE, "stauts", "did you mean status?", "--help")


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "plan", "--jsno"), ExitCode.USAGE, "--jsno", "(pipeline plan --help)")


def test_a_missing_argument_is_named(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "backup"), ExitCode.USAGE, "Missing argument 'FILE'")


@pytest.mark.parametrize(
    "arguments",
    [
        ["collect", "--max-requests", "0"],
        ["collect", "--wait", "-1"],
        ["collect", "--wait", "inf"],
        ["collect", "--wait", "nan"],
        ["collect", "--sandbox", "--latency", "-1"],
        ["collect", "--sandbox", "--day", "14 March"],
        ["collect", "--sandbox", "--day", "0001-01-01"],
        ["collect", "--sandbox", "--day", "9999-12-31"],
        ["collect", "--day", "2026-03-14"],
        ["collect", "--latency", "5"],
        ["runs", "0"],
        ["runs", "last"],
        ["runs", "99999999999999999999"],
        ["runs", "--limit", "99999999999999999999"],
        ["runs", "--format", "xml"],
        ["sandbox", "--port", "70000"],
        ["sandbox", "--plan", "gold"],
        ["sandbox", "--day", "9999-12-31"],
        ["plan", "AAPL"],
    ],
)
def test_an_invalid_argument_ends_with_2(folder: Path, arguments: list[str]) -> None:
    assert_refused(call(folder, *arguments, ALPHAVANTAGE_API_KEY=KEY), ExitCode.USAGE, f"(pipeline {arguments[0]} --h")
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["collect", "--max-requests", "abc"], ["'abc'", "1 or more"]),
        (["collect", "--wait", "soon"], ["'soon'", "60"]),
        (["collect", "--sandbox", "--day", "14 March"], ["'14 March'", "2026-03-14"]),
        (["sandbox", "--port", "70000"], ["'70000'", "0 to 65535"]),
        (["export", "--output", "."], ["is a folder", "name a file"]),
    ],
)
def test_an_invalid_value_is_named_with_a_valid_one(folder: Path, arguments: list[str], words: list[str]) -> None:
    assert_refused(call(folder, *arguments), ExitCode.USAGE, *words)


def test_global_options_are_accepted_before_and_after_the_command(folder: Path) -> None:
    (folder / "other.toml").write_text("[collect]\nattempts = 5\n")
    options = ("--config", "other.toml", "--database", "x.db", "-q")

    before = call(folder, *options, "config", "--json")
    after = call(folder, "config", *options, "--json")

    assert before == after
    values = {row["key"]: row["value"] for row in before.json}
    assert values["database"] == "x.db"
    assert values["collect.attempts"] == 5


def test_an_option_after_the_command_overrides_one_before_it(folder: Path) -> None:
    values = call(folder, "--database", "a.db", "config", "--database", "b.db", "--json").json

    assert values[0]["value"] == "b.db"


def test_it_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    call(tmp_path, "collect", "--sandbox", "AAPL")

    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(10)
    assert [thread.name for thread in begun if thread.is_alive()] == []


@pytest.mark.process
@pytest.mark.parametrize("words", ["symbols", "history IBM name --format csv"])
def test_a_reader_that_leaves_early_ends_it_quietly(folder: Path, long: Path, words: str) -> None:
    ended = run_shell(folder, f'"$PIPELINE" {words} --database {long} | head -1; exit "${{PIPESTATUS[0]}}"')

    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)


@pytest.fixture
def long(folder: Path, configure: Callable[[str], object]) -> Path:
    """Return a database of a long history, beside a configuration of many symbols."""
    (folder / "config" / "names.txt").write_text("\n".join(f"A{number}" for number in range(5_000)))
    configure('[symbols]\nfile = "names.txt"')
    return database_of([seen(hours, EPS=str(hours), Name="x" * 500) for hours in range(1_500)])

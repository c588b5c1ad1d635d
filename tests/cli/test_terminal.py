"""A terminal obeys codes in the text that it is given: no text from outside may bring one there."""

import ast
import json
import shutil
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

import pipeline.cli
from pipeline.cli.app import COMMANDS
from pipeline.cli.app import pipeline as program
from pipeline.cli.lazy_commands import LazyCommands
from tests.support.commands import NEEDED, Ended, call, call_on_terminal, run
from tests.support.observations import database_of, seen, text

HOSTILE = (
    "\x1b]0;title\x07\x1b]8;;http://x.example\x1b\\link\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[1A\x9b2J\x9d0;t\x9c\x7f\r"
    "\u202eright to left\u2066\u200bnothing\ufeff\u2028[red]=1\U000e0041"
)
"""A title, a link, the clipboard, an empty screen, the cursor, the same in one character; what cannot be seen."""
FORMS: tuple[list[str], ...] = ([], ["--wide"], ["--json"], ["--format", "csv"], ["--format", "jsonl"], ["--excel"])
NEVER_ENDS = frozenset({"mcp", "sandbox"})
"""Commands that serve whatever --config and --database say."""


def commands() -> dict[str, click.Command]:
    """Return every command, by its name on the command line."""
    context = click.Context(program)
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, LazyCommands):
            for inner in command.texts:
                part = command.get_command(context, inner)
                assert part is not None
                found[f"{name} {inner}"] = part
    return found


def hostile_calls(name: str, command: click.Command) -> Iterator[list[str]]:
    """Yield calls of a command that have the hostile text as an option, as a flag's value, and in each parameter."""
    words, needed = name.split(), NEEDED.get(name, [])
    yield [*words, f"--{HOSTILE}"]
    yield [*words, f"--json={HOSTILE}"]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield [*words, HOSTILE, *needed]
            yield [*words, *needed, HOSTILE]
        elif takes_value(parameter) and not (name in NEVER_ENDS and parameter.name in ("config", "database")):
            yield [*words, *needed, parameter.opts[0], *[HOSTILE] * max(parameter.nargs, 1)]


def takes_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not (parameter.is_flag or parameter.count)


def assert_harmless(ended: Ended, *words: str) -> None:
    """Check that what was shown is text and line ends alone."""
    bad = {c for c in ended.out if not (c == "\n" or c.isprintable() or unicodedata.category(c) == "Zs")}
    assert not bad, (words, ended.out)
    assert "Traceback" not in ended.out, (words, ended.out)


@pytest.mark.parametrize("name", commands())
def test_no_argument_reaches_the_terminal_as_a_code(folder: Path, name: str) -> None:
    for words in hostile_calls(name, commands()[name]):
        assert_harmless(call_on_terminal(folder, *words), *words)


@pytest.fixture(scope="module")
def database() -> Path:
    """Return a database whose every text that can be hostile is."""
    texts = dict.fromkeys(("Name", "Description", "Sector", "OfficialSite", "FiscalYearEnd"), HOSTILE)
    path = database_of([seen(0, EPS="1", **texts), seen(1, EPS=HOSTILE, **texts | {"Name": "x", HOSTILE: HOSTILE})])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(
            "INSERT INTO runs (id, trigger, schedule, started_at, finished_at, status, symbols, due, detail)"
            " VALUES (9, ?1, ?1, ?2, ?2, 'failed', 1, 1, ?1)",
            [HOSTILE, text(2)],
        )
        db.execute("INSERT INTO outcomes VALUES (9, 'IBM', 'failed', 1, ?2, ?1)", [HOSTILE, text(2)])
    return path


@pytest.fixture(scope="module")
def damaged(database: Path) -> Path:
    """Return a database that has such a text also where the program wrote an instant, a symbol or a word of its own."""
    path = database.with_name("damaged.db")
    shutil.copyfile(database, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        for change in (
            "runs SET trigger = ?1, status = ?1, started_at = ?1, finished_at = ?1",
            "outcomes SET outcome = ?1, at = ?1",
            "looks SET at = ?1 || at",
            "snapshots SET observed_at = ?1 || observed_at",
            "symbols SET symbol = ?1 || symbol",
        ):
            db.execute(f"UPDATE {change}", [HOSTILE])
    return path


READING = [
    ["history", "IBM"],
    ["history", "IBM", "--field", "eps", "--field", "name"],
    ["as-of", "2026-11-01"],
    ["as-of", "2026-11-01", "--original"],
    ["panel", "name", "sector", "--since", "2026-01-01", "--every", "1q", "--until", "2026-03-31"],
    ["changes"],
    ["vintages", "IBM"],
    ["history", "IBM", "--plot", "eps"],
    ["as-of", "2026-11-01", "--plot", "eps", "pe_ratio"],
    ["runs"],
    ["runs", "9"],
    ["symbols", "--all"],
    ["status"],
    ["plan"],
    ["health"],
    ["doctor", "--quick"],
    ["datasette-metadata"],
    ["export", "--output", "-", "--format", "csv"],
    ["export", "--output", "-", "--format", "csv", "--excel"],
    ["export", "--output", "-", "--format", "jsonl"],
    ["export", "--output", "-", "--original"],
    ["panel", "name", "--since", "2026-01-01", "--every", "1q", "--output", "-", "--format", "csv"],
    ["panel", "name", "--since", "2026-01-01", "--every", "1q", "--output", "-", "--format", "jsonl"],
    ["join", "rows.csv", "name", "--output", "-"],
    ["join", "rows.jsonl", "name", "--output", "-"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
@pytest.mark.parametrize("file", ["database", "damaged"])
def test_no_text_of_a_database_reaches_the_terminal_as_a_code(
    folder: Path, request: pytest.FixtureRequest, words: list[str], file: str
) -> None:
    database: Path = request.getfixturevalue(file)
    (folder / "rows.csv").write_text(f'symbol,time,"{HOSTILE}"\r\nIBM,2026-11-01,"{HOSTILE}"\r\n', newline="")
    row = {"symbol": "IBM", "time": "2026-11-01", HOSTILE: HOSTILE}
    (folder / "rows.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", newline="")
    for form in FORMS if words[0] not in ("export", "join") and "--output" not in words else ([],):
        words_in_form = [*words, *form, "--database", str(database)]
        assert_harmless(call_on_terminal(folder, *words_in_form), *words_in_form)


CONFIGURED = ["config", "doctor", "plan", "symbols", "status", "schedule", "notify", "collect", "run", "follow"]


@pytest.mark.parametrize("command", CONFIGURED)
def test_no_text_of_a_configuration_reaches_the_terminal_as_a_code(folder: Path, command: str) -> None:
    name = HOSTILE.replace("/", "-")
    (folder / "config" / name).write_text(f"{HOSTILE}\n")
    value = json.dumps(name)
    for written in (
        f"[symbols]\nlist = [{value}]\n",
        f"[symbols]\nfile = {value}\n",
        f"[symbols]\nlist = ['IBM']\n[{value}]\n{value} = 1\n",
        f"[symbols]\nlist = ['IBM']\n[source]\nplan = {value}\nbase_url = {value}\n",
        f"[symbols]\nlist = ['IBM']\n[[schedule]]\nname = {value}\ncron = {value}\ntimezone = {value}\n",
        HOSTILE,
    ):
        (folder / "config" / "pipeline.toml").write_text(written)
        assert_harmless(call_on_terminal(folder, command, "-v"), command, written)


@pytest.mark.parametrize(
    "variable", ["SOURCE__PLAN", "SOURCE__LIMITS", "NOTIFY_URLS", "FLEET_URL", "DATABASE", HOSTILE]
)
def test_no_variable_reaches_the_terminal_as_a_code(folder: Path, variable: str) -> None:
    for command in CONFIGURED:
        ended = call_on_terminal(folder, command, **{f"PIPELINE_{variable.replace('=', '-')}": HOSTILE})
        assert_harmless(ended, command, variable)


def test_no_text_of_an_import_reaches_the_terminal_as_a_code(folder: Path) -> None:
    name = HOSTILE.replace("/", "-")
    (folder / name).mkdir()
    texts = [
        {"symbol": HOSTILE, "observed_at": HOSTILE, "document": {}},
        HOSTILE,
        {HOSTILE: HOSTILE},
        {"Symbol": HOSTILE},
    ]
    for number, content in enumerate(texts):
        (folder / name / f"{name}{number}.json").write_text(json.dumps(content, ensure_ascii=False))
        (folder / f"{name}{number}.jsonl").write_text(f"{json.dumps(content, ensure_ascii=False)}\n{HOSTILE}\n")
    for words in (["-v"], [], ["--strict"], ["--json"], ["--name-pattern", "{symbol}"]):
        for sources in ([name], [f"{name}{number}.jsonl" for number in range(len(texts))]):
            ended = call_on_terminal(folder, "import", *words, *sources)
            assert_harmless(ended, *words)


@pytest.mark.process
def test_a_pipe_gets_every_byte(folder: Path, database: Path) -> None:
    words = ["export", "--format", "csv", "--database", str(database), "--output"]

    piped = run(folder, *words, "-")

    assert call(folder, *words, "file.csv").code == 0
    assert piped.out == (folder / "file.csv").read_bytes().decode()
    assert "\x9b" in piped.out


ESCAPING = {"output.py", "error_output.py", "options.py", "findings.py", "drawing.py"}
"""Modules that write to stdout or stderr, and escape all that they write."""


def test_nothing_else_writes_to_the_terminal() -> None:
    modules = (path for path in Path(pipeline.cli.__file__).parent.rglob("*.py") if path.name not in ESCAPING)

    assert [f"{path.name}: {call}" for path in modules for call in writes(path)] == []


def writes(module: Path) -> Iterator[str]:
    """Yield a module's calls that print."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "click.echo", "click.secho") or called.endswith((".stdout.write", ".stderr.write")):
                yield called

"""The command line, called in this process or started as one of its own; and what tests expect of its output."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import BytesIO, FileIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.app import run_command_line

KEY = "S3CR3TK3YOFOURS1"
PIPELINE = Path(sys.executable).with_name("pipeline")
NEEDED = {
    "backup": ["copy.db"],
    "correct": ["--since", "2026-03-14", "--until", "2026-03-15", "--remove"],
    "history": ["IBM"],
    "as-of": ["2026-03-14"],
    "vintages": ["IBM"],
    "export": ["--output", "x.csv"],
    "import": ["x.jsonl"],
    "join": ["x.csv", "--output", "y.csv"],
    "restore": ["copy.db"],
}
"""The arguments that a command requires."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


# In this process, which takes a tenth of the time

_OWN_VARIABLES = ("PIPELINE_", "_PIPELINE_", "ALPHAVANTAGE_", "XDG_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_")
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def call(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Call the command line in this process, in a folder, without the developer's environment."""
    out, err = _stream(), _stream()
    code = _call(folder, arguments, variables, out, err)
    return Ended(code, _text(out), _text(err))


def call_on_terminal(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Call the command line in this process, as `call` does, with a terminal for stdout and stderr.

    The terminal is dumb: what it gets has no colours of ours. What both streams said is in `out`.
    """
    terminal, shown = os.openpty()
    tty.setraw(shown)  # otherwise it gets \r\n for each \n
    said = bytearray()
    reader = threading.Thread(target=_read_until_closed, args=(terminal, said))
    reader.start()
    with TextIOWrapper(FileIO(shown, "w"), encoding="utf-8", newline="\n", write_through=True) as stream:
        code = _call(folder, arguments, {"TERM": "dumb", **variables}, stream, stream)
    reader.join()
    return Ended(code, said.decode(errors="backslashreplace"), "")


def _read_until_closed(terminal: int, said: bytearray) -> None:
    with suppress(OSError):  # how Linux says that nobody has the terminal open any more
        while piece := os.read(terminal, 65_536):
            said += piece
    os.close(terminal)


def _call(
    folder: Path, arguments: Sequence[str], variables: Mapping[str, str], out: TextIOWrapper, err: TextIOWrapper
) -> int:
    handlers = {number: signal.getsignal(number) for number in _HANDLED}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_OWN_VARIABLES):
                patch.delenv(name)
        for name, value in {"HOME": str(folder / "home"), **variables}.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["pipeline", *arguments])
        patch.setattr(sys, "excepthook", sys.excepthook)
        # A command whose threads do not end soon ends the process, here that of the tests: on a busy machine, wait.
        patch.setattr("pipeline.cli.app._GRACE_SECONDS", 30)
        try:
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                run_command_line()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def _stream() -> TextIOWrapper:
    return TextIOWrapper(BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _text(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


# As a process of its own


def environment(folder: Path, **variables: str) -> Mapping[str, str]:
    """Return an environment without anything of the developer's.

    No certificate authority is trusted: to read all of them takes each process 50 ms, and what it talks to is local.
    """
    own = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    ours = {"HOME": str(folder), "ALPHAVANTAGE_API_KEY": KEY, "SSL_CERT_FILE": os.devnull}
    return {**own, **ours, **variables}


async def start(folder: Path, *arguments: str, **variables: str) -> asyncio.subprocess.Process:
    """Start `pipeline` in a folder."""
    return await asyncio.create_subprocess_exec(
        str(PIPELINE),
        *arguments,
        cwd=folder,
        env=environment(folder, **variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> Ended:
    """Wait for the process to end."""
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return Ended(process.returncode, out.decode(), err.decode())


async def pipeline(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Run `pipeline` in a folder to its end."""
    return await finished(await start(folder, *arguments, **variables))


def run(folder: Path, *arguments: str | Path, stdin: bytes = b"", **variables: str) -> Ended:
    """Run `pipeline` in a folder to its end, while nothing else is to happen in this process."""
    return _run([PIPELINE, *arguments], folder, environment(folder, **variables), stdin)


def run_shell(folder: Path, script: str, **variables: str) -> Ended:
    """Run a bash script in a folder, in which $PIPELINE and $PYTHON are the programs to start."""
    programs = {"PIPELINE": str(PIPELINE), "PYTHON": sys.executable}
    return _run(["bash", "-c", script], folder, environment(folder, **programs, **variables), b"")


def _run(words: list[str | Path], folder: Path, env: Mapping[str, str], stdin: bytes) -> Ended:
    done = subprocess.run(words, cwd=folder, env=env, input=stdin, capture_output=True, timeout=60, check=False)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


# What is expected of the output


def assert_refused(ended: Ended, code: int, *words: str) -> None:
    """Check that it printed one error line with these words in it, and ended with this code."""
    assert ended.code == code
    assert ended.out == ""
    assert_note(ended, *words)
    assert ended.err[:-1].isprintable()


def assert_note(ended: Ended, *words: str) -> None:
    """Check that it printed one line to stderr, with these words in it: to people, or if it is a log, to programs."""
    assert ended.err.count("\n") == 1
    if ended.err.startswith("{"):
        line = json.loads(ended.err)
        assert line["level"] == "critical"
        said = line["event"]
    else:
        assert ended.err.startswith("pipeline: ")
        said = ended.err
    for word in words:
        assert word in said


# Queries


def query(database: Path, *arguments: str, **variables: str) -> Ended:
    """Call a command that queries a database."""
    return call(database.parent, *arguments, "--database", str(database), **variables)


def rows(database: Path, *arguments: str) -> Any:
    """Return what --json prints, having checked that JSON Lines and CSV say the same."""
    ended = query(database, *arguments, "--json")
    assert ended.code == 0, ended.err
    array = ended.json
    lines = [json.loads(line) for line in query(database, *arguments, "--format", "jsonl").out.splitlines()]
    assert [{name: row[name] for name in line} for row, line in zip(array, lines, strict=True)] == lines
    cells = list(csv.DictReader(StringIO(query(database, *arguments, "--format", "csv").out, newline="")))
    assert [list(row) for row in cells] == [list(line) for line in lines]
    assert [list(row.values()) for row in cells] == [[_cell(value) for value in line.values()] for line in lines]
    return array


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def table(ended: Ended) -> list[list[str]]:
    """Return the cells of a printed table, which are at least two spaces apart."""
    assert ended.code == 0, ended.err
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in ended.out.splitlines()]

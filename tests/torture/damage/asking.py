"""Asking: every command and question of a damaged record, in a process of its own, and how each of them ended."""

import asyncio
import hashlib
import importlib
import io
import os
import pkgutil
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import structlog

import pipeline
from pipeline.agents.record import Record
from pipeline.agents.refusals import BadCall
from pipeline.agents.tools import TOOLS
from pipeline.cli import app
from pipeline.errors import Trouble
from pipeline.instants import utc_now
from pipeline.pages.rendering import _ENVIRONMENT as TEMPLATES
from pipeline.pages.routes import ROUTES as PAGES
from pipeline.query.history import History
from pipeline.query.results import Answer
from pipeline.rest.routes import ROUTES as REST
from tests.support.crawl import filled
from tests.support.site import served
from tests.support.two_futures import QUESTIONS, Params
from tests.torture.damage.records import AT, DATABASE

PROCESSOR_SECONDS = 20
"""A question that takes longer is taken to hang."""
WALL_SECONDS = 60
"""The same where it takes no processor time."""
_MEMORY_BYTES = 4 << 30
_EXIT_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 7})
_MOST_LINES, _LONGEST = 8, 2_000
KEY = "S3CR3TK3YOFOURS1"

READING: Sequence[tuple[str, ...]] = [
    tuple(line.split())
    for line in """\
status
status --json
doctor
doctor --json
doctor --quick
plan
plan --json
schedule
schedule --json
health
health --json
config
config --json
notify
fields
datasette-metadata
symbols
symbols --all --json
symbols --all --format csv
runs
runs --json
runs 2
runs 12 --json
runs 3 --format jsonl
history IBM
history META --json --field all
history AAPL --format csv --field all
history FB pe_ratio --since 2026-03-16
history IBM --format jsonl
history AAPL IBM pe_ratio --plot
history AAPL IBM --plot --indexed
as-of 2026-03-20
as-of 2026-03-20 --json --field all
as-of 2026-03-20 --original
as-of 2026-03-20 --universe
as-of now --max-staleness 24 --format csv
as-of 2026-03-20 FB AAPL --format jsonl
as-of 2026-03-20 --plot sector pe_ratio
panel pe_ratio name
panel pe_ratio --wide --every 1w
panel --at instants.txt --universe --json
panel all --format csv --lag 1d --since 2026-03-16 --until 2026-03-20
panel eps --output out.parquet
join rows.csv eps name --output out.csv
join rows.csv all --output wide.csv --max-staleness 24
changes
changes --json
changes --suspicious
changes IBM --part reported --format csv
changes --field symbol
changes --universe --min-change 5%
vintages IBM
vintages AAPL --json
vintages --all --format csv
vintages META revenue_ttm
export --output - --format csv
export --output - --format jsonl
export --original --output out.jsonl
export --output out.parquet
export --output out.xlsx
export --partition --output out
export IBM --output out.csv.gz
backup copy.db
""".splitlines()
]
"""Commands that only read the record. (`backup` notes that it was made.)"""
WRITING: Sequence[tuple[str, ...]] = [
    tuple(line.split())
    for line in """\
collect --sandbox --latency 0 --wait 0 --database o.db
collect --sandbox --latency 0 --wait 0 --database o.db --force --json AAPL IBM
import more.jsonl --wait 0
import more.jsonl --wait 0 --json
migrate --wait 0
migrate --no-backup --wait 0 --json
restore good.db
restore good.db --json
restore o.db --database new.db
""".splitlines()
]
"""Commands that write it; they come last."""
IN_PROCESS = ("@history", "@serve", "@mcp")
"""Questions without a command line: of the Python API, of the server, of agents."""
_NOTES = frozenset({"backup", "@history"})
"""May write: a note of the backup; nothing, but its name is no command's."""


class Ended(msgspec.Struct, frozen=True):
    """How a question ended: what is wrong with that, empty where nothing is."""

    words: tuple[str, ...]
    code: int | None
    wrong: str
    answers: int = 1
    out: str = ""
    """The digest of what it printed."""


def import_everything() -> None:
    """Import all modules of the program, and compile all templates, so that not each child process has to."""
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for template in TEMPLATES.list_templates():
        TEMPLATES.get_template(template)


def questions(random: Random, number: int) -> Sequence[tuple[str, ...]]:
    """Return some questions, in an order: what only reads comes first."""
    reading = [("status",), ("doctor",), *random.sample(READING, number)]
    others = [(one, str(random.randrange(1000))) for one in IN_PROCESS if random.random() < 0.4]
    return (*reading, *others, *random.sample(WRITING, random.choice((1, 1, 2))))


def all_of(symbol: str) -> Sequence[tuple[str, ...]]:
    """Return the questions for all that is kept of a symbol."""
    return (
        ("history", symbol, "--field", "all", "--format", "csv"), ("export", symbol, "--original", "--output", "-"),
        ("changes", symbol, "--json"),
    )  # fmt: skip


def ask(folder: Path, asked: Sequence[tuple[str, ...]]) -> Iterator[Ended]:
    """Ask in a child process, and yield how each question ended; one that ends or holds up the process is the last."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _be_asked(folder, asked, writer)
    os.close(writer)
    place = 0
    try:
        with os.fdopen(reader, "rb") as results:
            while select.select([results], [], [], WALL_SECONDS)[0] and (line := results.readline()):
                yield msgspec.json.decode(line, type=Ended)
                place += 1
        if place < len(asked):
            yield Ended(asked[place], None, _how_it_died(child))
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _how_it_died(child: int) -> str:
    done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        return f"hangs: nothing for {WALL_SECONDS} s"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return f"takes more than {PROCESSOR_SECONDS} s of the processor"
        return f"ended by {signal.Signals(number).name}"
    return f"ended the process with {os.waitstatus_to_exitcode(status)}"


# In the child process


def _be_asked(folder: Path, asked: Sequence[tuple[str, ...]], writer: int) -> None:
    """Ask everything, write how it ended, and end the process."""
    try:
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("PIPELINE_", "ALPHAVANTAGE_"))]:
            del os.environ[name]
        os.environ.update({"HOME": str(folder), "ALPHAVANTAGE_APIKEY": KEY})
        app._GRACE_SECONDS = 30  # its last resort, to end the process, would end this one
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        with os.fdopen(writer, "wb", buffering=0) as results:
            for words in asked:
                results.write(msgspec.json.encode(_ended(words)) + b"\n")
    except BaseException:  # noqa: BLE001 - it must not return into the parent's code
        traceback.print_exc()
    finally:
        os._exit(0)


def _ended(words: tuple[str, ...]) -> Ended:
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + PROCESSOR_SECONDS, resource.RLIM_INFINITY))
    answers = {"@history": _ask_history, "@serve": _ask_server, "@mcp": _ask_tools}.get(words[0])
    before = _content()
    if answers is None:
        code, wrong, out = _call(words)
        number = 1
    else:
        code, out = None, ""
        number, wrong = answers(Random(words[1]))
    may_write = before is None or words in WRITING or words[0] in _NOTES
    if not wrong and not may_write and _content() != before:
        wrong = "wrote to the database"
    return Ended(words, code, wrong, number, out)


def _content() -> bytes | None:
    """Return what is in the database, None where a journal is to be undone first."""
    with suppress(OSError):
        if Path(DATABASE).is_file() and not Path(f"{DATABASE}-journal").exists():
            return Path(DATABASE).read_bytes()
    return None


def _call(words: Sequence[str]) -> tuple[int | None, str, str]:
    """Call a command, and return its exit code, what is wrong with how it ended, and the digest of its output."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", line_buffering=True)
    sys.argv = ["pipeline", *words]
    code: int | None = None
    raised = ""
    try:
        app.run_command_line()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else None
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        code, raised = 1, traceback.format_exc()
        sys.excepthook(type(error), error, error.__traceback__)  # as Python would
    with suppress(ValueError, OSError):
        sys.stdout.flush()
    said, printed = _read(err), _read(out)
    for file in (out, err):
        os.close(file)
    return code, wrong_with(code, said, printed, raised), hashlib.sha256(printed.encode()).hexdigest()


def _read(file: int) -> str:
    size = os.fstat(file).st_size
    return os.pread(file, min(size, 20_000_000), 0).decode(errors="replace")


def wrong_with(code: int | None, said: str, printed: str, raised: str = "") -> str:
    """Return what is wrong with how a command ended and with what it said on stderr, empty if nothing is.

    `raised`: the traceback of what it raised, if that is known.
    """
    if "Traceback (most recent call last)" in said + printed:
        return f"raised {_last(raised or said)}"
    if code not in _EXIT_CODES:
        return f"exit code {code}"
    lines = said.splitlines()
    if len(lines) > _MOST_LINES or any(len(line) > _LONGEST for line in lines):
        return f"{len(lines)} lines on stderr: {said[:200]!r}"
    if code and not (said or printed):
        return f"exit code {code} without a word"
    if KEY in said + printed:
        return "printed the key"
    return ""


def _last(raised: str) -> str:
    """Return where a traceback ends, and with what."""
    lines = [line.strip() for line in raised.replace("\\n", "\n").strip().splitlines()]
    places = [line for line in lines if line.startswith("File ") and "pipeline" in line]
    return f"{lines[-1][:300]} <- {' <- '.join(places[-3:][::-1])}"


_PARAMS = (
    Params("IBM", AT, "2026-03-15", ("all",), None, universe=False, number=2),
    Params("FB", "2026-03-22", "2026-03-16", ("pe_ratio", "name"), "48h", universe=True, number=12),
)


def _ask_history(_random: Random) -> tuple[int, str]:
    """Ask the Python API everything: the database is opened again after each failure."""
    number = 0
    history: History | None = None
    with ExitStack() as opened:
        for params in _PARAMS:
            for name, question in QUESTIONS.items():
                if name == "panel of all":
                    continue  # up to now, from any instant that a damaged file names
                number += 1
                try:
                    history = history or opened.enter_context(History.open(DATABASE))
                    found = question(history, params)
                    if isinstance(found, Answer):
                        list(found)
                except Trouble:
                    history = None
                except BaseException:  # noqa: BLE001 - that is what is looked for
                    return number, f"{name} raised {_last(traceback.format_exc())}"
    return number, ""


_CALLS: Mapping[str, Mapping[str, Any]] = {
    "companies": {"at": AT},
    "overview": {"at": AT, "symbols": ["IBM", "FB"]},
    "history": {"until": AT, "symbol": "IBM"},
    "changes": {"until": AT},
    "vintages": {"at": AT, "symbol": "IBM"},
    "panel": {"at": AT, "fields": ["pe_ratio"], "since": "2026-03-16"},
    "status": {"at": AT},
}


def _ask_tools(_random: Random) -> tuple[int, str]:
    """Call every tool of an agent."""
    record = Record(Path(DATABASE), utc_now, None, timedelta(hours=72))
    for place, (name, tool) in enumerate(TOOLS.items(), 1):
        try:
            asyncio.run(record.answer(tool, _CALLS[name]))
        except BadCall:
            continue
        except BaseException:  # noqa: BLE001 - that is what is looked for
            return place, f"{name} raised {_last(traceback.format_exc())}"
    return len(TOOLS), ""


_PATHS = [
    f"{prefix}{filled(route.path, symbol, run)}{query}"
    for route in (*PAGES, *REST)
    for prefix in ("", f"/as-of/{AT}")
    for symbol, run in (("IBM", "2"), ("FB", "12"))
    for query in ("", "?limit=2")
]
_PATHS_AT_ONCE = 15


def _drop(logged: list[Any], event: Any) -> Any:
    logged.append(event)
    raise structlog.DropEvent


def _ask_server(random: Random) -> tuple[int, str]:
    """Get every page and every answer for programs."""

    logged: list[Any] = []
    structlog.configure(
        processors=[structlog.processors.format_exc_info, lambda _log, _name, event: _drop(logged, event)]
    )

    async def get() -> tuple[int, str]:
        async with served(Path(DATABASE)) as client:
            for place, path in enumerate(random.sample(_PATHS, _PATHS_AT_ONCE), 1):
                got = await client.get(path)
                if got.status == 500:
                    return place, f"{path} answered 500: {_last(str(logged[-1:]))}"
        return place, ""

    try:
        return asyncio.run(get())
    except Trouble:
        return 1, ""
    except BaseException:  # noqa: BLE001 - that is what is looked for
        return 1, f"raised {_last(traceback.format_exc())}"

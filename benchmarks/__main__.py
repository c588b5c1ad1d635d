"""Measure the promised numbers: `python -m benchmarks`, or `python -m benchmarks windows memory`.

It takes about a quarter of an hour; a window of a minute and an idle daemon take four minutes of it. It fails when a
count is wrong, never for a time.
"""

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import (
    exports,
    fleet,
    history,
    idle,
    importing,
    lesson,
    memory,
    million,
    research,
    serving,
    startup,
    storage,
    throughput,
    windows,
)
from benchmarks.processes import report_progress
from benchmarks.report import Line, tables

Answer = tuple[str, Sequence[Line]]


def _questions(
    *, uvloop: bool, large: bool, folder: Path | None, symbols: int
) -> dict[str, tuple[str, Callable[[], Sequence[Line]]]]:
    return {
        "windows": (windows.QUESTION, windows.measure),
        "lesson": (lesson.QUESTION, lesson.measure),
        "throughput": (throughput.QUESTION, partial(throughput.measure, uvloop=uvloop)),
        "memory": (memory.QUESTION, memory.measure),
        "startup": (startup.QUESTION, startup.measure),
        "idle": (idle.QUESTION, idle.measure),
        "storage": (storage.QUESTION, storage.measure),
        "import": (importing.QUESTION, importing.measure),
        "history": (history.QUESTION, partial(history.measure, large=large, folder=folder)),
        "research": (research.QUESTION, partial(research.measure, large=large, folder=folder)),
        "serving": (serving.QUESTION, partial(serving.measure, large=large, folder=folder)),
        "fleet": (fleet.QUESTION, fleet.measure),
        "exporting": (exports.QUESTION, partial(exports.measure, large=large, folder=folder)),
        "million": (million.QUESTION, partial(million.measure, count=symbols)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = list(_questions(uvloop=False, large=False, folder=None, symbols=0))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(names)} [all but million]")
    parser.add_argument("--uvloop", action="store_true", help="throughput with uvloop, on both sides")
    parser.add_argument(
        "--large", action="store_true", help="history, research, serving, exporting with 10 million snapshots"
    )
    parser.add_argument("--folder", type=Path, help="where these keep their databases, and find them again")
    parser.add_argument("--symbols", type=int, default=100_000, help="how many million collects a day [100000]")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"unknown name: {', '.join(sorted(unknown))} (expected any of {', '.join(names)})")
    questions = _questions(
        uvloop=arguments.uvloop, large=arguments.large, folder=arguments.folder, symbols=arguments.symbols
    )
    try:
        answers: list[Answer] = [(questions[name][0], questions[name][1]()) for name in arguments.names or names[:-1]]
    except subprocess.CalledProcessError as error:
        report_progress(f"measurement failed: {error}")
        return 1
    print(f"{_machine()}\n\n{tables(answers)}")
    return int(any(line.is_broken for _, lines in answers for line in lines))


def _machine() -> str:
    cores = os.cpu_count()
    return f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}, {cores} cores"


if __name__ == "__main__":
    sys.exit(main())

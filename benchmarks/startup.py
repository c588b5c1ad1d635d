"""How fast does the command start?"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.processes import measured, report_progress
from benchmarks.report import Line
from benchmarks.server import Plan, served

QUESTION = "Start-up: the installed command, the median of seven; in seconds, and against an empty Python"
_TIMES = 7
_SYMBOLS = 25
_STALE = 7
"""The exit code of `status` when symbols are stale, which is a success here."""


def measure() -> list[Line]:
    """Return how long two commands take."""
    report_progress("start-up: a few commands, seven times each")
    command = str(Path(sys.executable).with_name("pipeline"))
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "overviews.db"))
        with served(Plan()) as server:
            measured("benchmarks.client", "pipeline", server.url, str(_SYMBOLS), "--database", database)
        empty = _seconds([sys.executable, "-c", "pass"], folder)
        version = _seconds([command, "--version"], folder)
        status = _seconds([command, "--database", database, "status"], folder)
    return [
        _line("pipeline --version", version, empty, "≤ 0.15 s"),
        _line(f"pipeline status, {_SYMBOLS} companies", status, empty, "≤ 0.3 s"),
    ]


def _line(what: str, seconds: float, empty: float, target: str) -> Line:
    return Line(what, f"{seconds:.3f} s", target, f"{seconds / empty:.1f} times python -c pass ({empty:.3f} s)")


def _seconds(command: Sequence[str], folder: str) -> float:
    return median(_once(command, folder) for _ in range(_TIMES))


def _once(command: Sequence[str], folder: str) -> float:
    """Run a command in an empty folder, so that it finds no configuration."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False, timeout=60
    )
    seconds = time.perf_counter() - began
    if done.returncode not in (0, _STALE):
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return seconds


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}

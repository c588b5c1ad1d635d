"""Fresh processes: each figure is measured in its own, so that none inherits another's caches or memory.

The process that starts them imports no aiohttp, to stay small: Linux counts its peak memory as theirs.
"""

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_TIMEOUT = timedelta(minutes=10)


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def measured(module: str, *arguments: str, timeout: timedelta = _TIMEOUT) -> Any:
    """Run a module in a fresh process, and return the JSON value that it prints."""
    done = subprocess.run(
        python(module, *arguments), stdout=subprocess.PIPE, check=True, timeout=timeout.total_seconds()
    )
    return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Took:
    """What a client took for its symbols."""

    overviews: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def cpu_seconds(whose: int) -> float:
    """Return the processor seconds of this process, or of its children that have ended."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def peak_megabytes() -> float:
    """Return the peak memory of this process. (Linux counts kilobytes, macOS bytes.)"""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def report_progress(text: str) -> None:
    """Print on stderr what is measured next."""
    print(text, file=sys.stderr, flush=True)

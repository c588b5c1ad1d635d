"""Fresh processes: each figure is taken in one of its own, so that none inherits another's warmth or memory.

The process that starts them stays small, for Linux counts what it had as what they have: it imports no aiohttp.
"""

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_PATIENCE = timedelta(minutes=10)


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as this Python does."""
    return [sys.executable, "-m", module, *arguments]


def measured(module: str, *arguments: str, patience: timedelta = _PATIENCE) -> Any:
    """Run a module in a fresh process, and return the JSON value that it prints."""
    done = subprocess.run(
        python(module, *arguments), stdout=subprocess.PIPE, check=True, timeout=patience.total_seconds()
    )
    return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Took:
    """What a client needed for its symbols."""

    overviews: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def cpu_seconds(whose: int) -> float:
    """Return how long the processor has worked for this process, or for its children that have ended."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def peak_megabytes() -> float:
    """Return the most memory this process has had. (Linux counts kilobytes, macOS bytes.)"""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def tell(text: str) -> None:
    """Say on stderr how far we are."""
    print(text, file=sys.stderr, flush=True)

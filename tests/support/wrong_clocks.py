"""Wrong clocks: another time for a process of its own, by a library that answers in the system's place."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest


def wrong_clock(ahead: timedelta) -> dict[str, str]:
    """Return the variables that set a process's wall clock ahead, or behind; its other clocks stay as they are.

    Skip the test where libfaketime is not installed.
    """
    library = next(_libraries(), None)
    if library is None:
        pytest.skip("clocks cannot be wrong: libfaketime is not installed")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{ahead.total_seconds():+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _libraries() -> Iterator[Path]:
    return Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")

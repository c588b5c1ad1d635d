"""Checks of the machine: Python, SQLite, the clock."""

import platform
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime

from pipeline import instants
from pipeline.doctor.findings import Finding, Level
from pipeline.monitoring.checks import Kind
from pipeline.store.database import OLDEST_SQLITE, SAFE_SQLITE

OLDEST_PYTHON = (3, 11)
_64_BITS = 2**32
"""A larger `sys.maxsize` is that of a 64-bit Python."""


def check_python() -> Iterator[Finding]:
    """Yield which Python runs this program."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.maxsize < _64_BITS:
        narrow = f"{found} is a 32-bit program; some of the packages that are needed come for 64 bits only"
        yield Finding(Kind.PYTHON, Level.NOTE, narrow, "use a 64-bit system and its Python")
    elif sys.version_info < OLDEST_PYTHON:
        yield Finding(Kind.PYTHON, Level.PROBLEM, found, "install 3.11 or newer")
    else:
        yield Finding(Kind.PYTHON, Level.OK, found)


def check_sqlite() -> Iterator[Finding]:
    """Yield which SQLite that Python uses, and whether it can damage a file."""
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        yield Finding(Kind.SQLITE, Level.PROBLEM, found, f"use a Python that is built with {oldest} or newer")
    elif sqlite3.sqlite_version_info < SAFE_SQLITE:
        yield Finding(
            Kind.SQLITE,
            Level.NOTE,
            f"{found}: before 3.51.3, two programs that write at the same time can damage a WAL file",
            "nothing to do as long as only this program writes: it takes a lock",
        )
    else:
        yield Finding(Kind.SQLITE, Level.OK, found)


def check_clock(now: datetime) -> Iterator[Finding]:
    """Yield the time, and whether it is plausible."""
    found = f"{instants.for_people(now)} UTC"
    if now < instants.EARLIEST_PLAUSIBLE:
        yield Finding(Kind.CLOCK, Level.PROBLEM, found, "set it: snapshots are stored under its time")
    else:
        yield Finding(Kind.CLOCK, Level.OK, found)

"""Checks of the machine: SQLite's version, and the clock."""

import sqlite3
import sys
from datetime import UTC, datetime

import pytest

from pipeline.doctor.findings import Level
from pipeline.doctor.machine import check_python
from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Kind
from pipeline.store.database import SAFE_SQLITE
from tests.support.checkups import Examined, code


def test_an_sqlite_that_can_damage_a_file_is_noted(examined: Examined) -> None:
    found = examined()[Kind.SQLITE]

    assert found.found.startswith(sqlite3.sqlite_version)
    assert found.level is (Level.OK if sqlite3.sqlite_version_info >= SAFE_SQLITE else Level.NOTE)


def test_a_clock_that_is_behind_is_a_problem(examined: Examined) -> None:
    found = examined(now=datetime(2019, 12, 31, tzinfo=UTC))

    assert found[Kind.CLOCK].level is Level.PROBLEM
    assert found[Kind.CLOCK].found == "2019-12-31 00:00:00 UTC"
    assert code(found) == ExitCode.FAILED


def test_a_32_bit_python_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "maxsize", 2**31 - 1)
        (found,) = check_python()

    assert found.level is Level.NOTE
    assert "32-bit" in found.found
    assert "64-bit" in (found.remedy or "")

"""What do a million symbols daily take of a fleet? A tenth of them, on a few days, through the real schema and code."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.documents import DAY, symbols
from benchmarks.processes import measured, python, report_progress
from benchmarks.report import Line
from pipeline.fleet.install import install
from tests.support.postgres import Postgres, own

MEMBERS, DAYS = 2, 3
QUESTION = (
    f"A million symbols daily, by a tenth of them: {MEMBERS} members and a follower, {DAYS} days, invented answers"
)
_TIMEOUT = timedelta(hours=2)
_SETTINGS = """
shared_buffers = 128MB
max_wal_size = 4GB
autovacuum = on
"""
"""As PostgreSQL comes."""
_TABLES = ("log", "outcomes", "slots", "symbols", "batches")
_CONFIG = """
database = "followed.db"
[symbols]
file = "symbols.txt"
[source]
plan = "premium-1200"
"""
_QUESTIONS = {
    "pipeline status": ("status", "--json"),
    "pipeline plan": ("plan", "--json"),
    "pipeline as-of, one field of all": ("as-of", "now", "--field", "pe_ratio", "--format", "csv"),
    "pipeline export, partitioned": ("export", "--partition", "--output", "lake"),
    "pipeline backup": ("backup", "copy.db"),
}


@dataclass(slots=True)
class _Days:
    """What was measured, day by day."""

    count: int
    begins: list[dict[str, float]] = field(default_factory=list)
    works: list[list[dict[str, float]]] = field(default_factory=list)
    follows: list[dict[str, float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    """Seconds that it takes to count how the symbols ended."""
    sizes: list[dict[str, int]] = field(default_factory=list)
    """Bytes of each table with its indexes, before the first day and after each."""
    files: list[int] = field(default_factory=lambda: [0])
    """Bytes of the follower's file."""
    wal: list[int] = field(default_factory=list)


def measure(*, count: int = 100_000) -> list[Line]:
    """Return what each day took, by answer where that can be said, and what is read of the record afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix="million-") as folder, _server(Path(folder)) as url:
            days = _collect(url, Path(folder), count)
            return [*_of_fleet(days), *_of_house(url), *_of_record(Path(folder), count)]
    except pytest.skip.Exception as reason:
        return [Line("a tenth of a million symbols", "-", "", str(reason))]


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Yield the URL of a database with a fleet, on a server that writes to the disk as one has to."""
    folder.chmod(0o755)
    own_folder = folder / "postgres"
    own_folder.mkdir()
    own(own_folder)
    server = Postgres(own_folder / "primary", is_durable=True)
    server.create()
    with (server.folder / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    server.start()
    try:
        with psycopg.connect(server.url(), autocommit=True) as db:
            install(db)
        yield server.url()
    finally:
        server.crash()


def _collect(url: str, folder: Path, count: int) -> _Days:
    days = _Days(count, sizes=[_sizes(url)], wal=[_wal(url)])
    for number in range(DAYS):
        report_progress(f"million: day {number + 1} of {DAYS}, {count:,} symbols")
        begun = _part("begin", url, str(count))
        days.begins.append(begun)
        days.works.append(_work(url, str(_trading_day(number)), str(begun["run"])))
        days.ends.append(_seconds(url, "SELECT * FROM fleet.tally(%s)", begun["run"]))
        days.follows.append(_part("follow", url, str(folder / "followed.db")))
        days.files.append((folder / "followed.db").stat().st_size)
        days.sizes.append(_sizes(url))
        days.wal.append(_wal(url))
    return days


def _part(part: str, url: str, *arguments: str) -> dict[str, float]:
    figures: dict[str, float] = measured("benchmarks.million_parts", part, url, *arguments, timeout=_TIMEOUT)
    return figures


def _work(url: str, day: str, run: str) -> list[dict[str, float]]:
    """Let the members do the run, and return the figures of each."""
    commands = [python("benchmarks.million_parts", "work", url, f"member{n}", day, run) for n in range(MEMBERS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    outputs = [process.communicate(timeout=_TIMEOUT.total_seconds())[0] for process in processes]
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def _trading_day(number: int) -> date:
    """Return a day on which prices change."""
    return DAY + timedelta(days=number + 2 * ((DAY.weekday() + number) // 5))


def _sizes(url: str) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute(
            "SELECT " + ", ".join(f"pg_total_relation_size('fleet.{table}')" for table in _TABLES)
        ).fetchone()
    assert row is not None
    return dict(zip(_TABLES, row, strict=True))


def _wal(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])


def _seconds(url: str, statement: str, *values: object) -> float:
    with psycopg.connect(url, autocommit=True) as db:
        began = time.monotonic()
        db.execute(statement.encode(), values)
        return time.monotonic() - began


def _of_fleet(days: _Days) -> list[Line]:
    """Return the lines of what happens every day. Of rates the lowest day, of sizes the last."""
    answers = sum(int(member["answers"]) for member in days.works[-1])
    rates = [sum(m["answers"] for m in of_day) / max(m["seconds"] for m in of_day) for of_day in days.works]
    followed = [day["entries"] / day["seconds"] for day in days.follows]
    grown = {table: days.sizes[-1][table] - days.sizes[-2][table] for table in _TABLES}
    each = ", ".join(f"{table} {size / days.count:,.0f}" for table, size in grown.items())
    kept = sum(grown[table] for table in ("log", "outcomes"))
    cores = [sum(m["cpu_seconds"] for m in of_day) / answers * 1e3 for of_day in days.works]
    return [
        Line("answers a second, both members", f"{min(rates):,.0f}", "", _listed(rates),
             is_broken=answers != days.count),
        Line("  the members' processor time for each", f"{max(cores):.2f} ms"),
        Line("  a member's peak memory", f"{max(m['megabytes'] for day in days.works for m in day):.0f} MB"),
        Line("to begin a run", f"{max(day['seconds'] for day in days.begins):.1f} s", "",
             f"{max(day['megabytes'] for day in days.begins):.0f} MB at its peak"),
        Line("to count how it ended", f"{max(days.ends):.2f} s"),
        Line("entries followed a second", f"{min(followed):,.0f}", "", _listed(followed),
             is_broken=sum(int(day["entries"]) for day in days.follows) < DAYS * days.count),
        Line("bytes an answer, on the last day", f"{sum(grown.values()) / days.count:,.0f}", "", each),
        Line("  of it kept (log, outcomes)", f"{kept / days.count:,.0f}", "",
             f"{kept / days.count * 365e6 / 1e9:,.0f} GB a year for a million symbols daily"),
        Line("write-ahead log, bytes an answer", f"{(days.wal[-1] - days.wal[-2]) / days.count:,.0f}", "",
             f"first day {(days.wal[1] - days.wal[0]) / days.count:,.0f}"),
        Line("the follower's file, bytes an answer", f"{(days.files[-1] - days.files[-2]) / days.count:,.0f}", "",
             f"first day {days.files[1] / days.count:,.0f}"),
    ]  # fmt: skip


def _listed(rates: list[float]) -> str:
    return "day by day " + ", ".join(f"{rate:,.0f}" for rate in rates)


def _of_house(url: str) -> list[Line]:
    """Return the lines of what keeps PostgreSQL's tables small."""
    report_progress("million: pruning and vacuum")
    _seconds(url, "UPDATE fleet.slots SET finished_at = finished_at - interval '3 days'")
    with psycopg.connect(url, autocommit=True) as db:
        began, deleted = time.monotonic(), 0
        while (row := db.execute("SELECT fleet.prune_slots(10000)").fetchone()) and row[0]:
            deleted += row[0]
        pruning = time.monotonic() - began
    vacuums = {table: _seconds(url, f"VACUUM fleet.{table}") for table in _TABLES}
    return [
        Line("slots pruned a second", f"{deleted / pruning:,.0f}", "", f"{deleted:,} slots"),
        Line("vacuum of all tables", f"{sum(vacuums.values()):.1f} s", "",
             ", ".join(f"{table} {seconds:.1f} s" for table, seconds in vacuums.items())),
    ]  # fmt: skip


def _of_record(folder: Path, count: int) -> list[Line]:
    """Return the lines of the follower's file, and of what is asked of it."""
    (folder / "pipeline.toml").write_text(_CONFIG)
    (folder / "symbols.txt").write_text("\n".join(symbols(count)))
    return [_asked(folder, what, *arguments) for what, arguments in _QUESTIONS.items()]


def _asked(folder: Path, what: str, *arguments: str) -> Line:
    """Return the line of a command: how long it takes, and its peak memory."""
    report_progress(f"million: {what}")
    command = [str(Path(sys.executable).with_name("pipeline")), *arguments]
    environment: dict[str, Any] = os.environ | {
        "PIPELINE_CONFIG": str(folder / "pipeline.toml"),
        "ALPHAVANTAGE_API_KEY": "INVENTED00000KEY",
    }
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    seconds = time.monotonic() - began
    return Line(what, f"{seconds:.1f} s", "", f"{peak:.0f} MB at its peak", is_broken=process.returncode not in {0, 7})

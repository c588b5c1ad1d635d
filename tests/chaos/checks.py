"""What a fleet promised, checked when all is quiet: against what the server saw, and against every machine's file."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pipeline.quota.limits import Limit
from tests.chaos.api import OVER
from tests.chaos.counting import Request, by_key, most_in_any, over
from tests.chaos.machines import Machine

Database = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, what was found, and whether a promise is broken by it."""

    what: str
    found: str
    is_broken: bool = False


def none(what: str, number: int, example: object = "") -> Finding:
    """Return a finding of things of which there must be none."""
    return Finding(what, f"{number:,}{f', such as {example}' if number else ''}", number > 0)


def of_the_limits(requests: Sequence[Request], limits: Sequence[Limit]) -> Iterator[Finding]:
    """Yield whether the server saw more than a limit."""
    yield Finding("requests that the server saw", f"{len(requests):,}", not requests)
    yield none("of them over a limit, as it judged", sum(one.answer == OVER for one in requests))
    for key, times in by_key(requests).items():
        for limit in limits:
            most = most_in_any(times, round(limit.period.total_seconds() * 1e9))
            what = f"most in any {limit.period.total_seconds():g} s, key {key[:6]}"
            yield Finding(what, f"{most} of {limit.count}", over(times, limit) > 0)


def of_the_slots(requests: Sequence[Request], db: Database) -> Iterator[Finding]:
    """Yield whether each request had a slot, and no symbol two at a time."""
    rows = db.execute(
        "SELECT key_id, symbol, count(*) FROM fleet.slots WHERE outcome IS DISTINCT FROM 'unsent' GROUP BY 1, 2"
    )
    slots = Counter({(key, symbol): number for key, symbol, number in rows})
    unpermitted = Counter((one.key, one.symbol) for one in requests) - slots
    yield none("requests without a slot", unpermitted.total(), next(iter(unpermitted), ""))
    yield _rows(db, "requests for a symbol that was out already", """
        SELECT b.symbol, b.reserved_at FROM fleet.slots a JOIN fleet.slots b ON b.symbol = a.symbol AND b.id > a.id
         WHERE b.reserved_at < coalesce(a.finished_at, a.deadline_at)
    """)  # fmt: skip
    yield _rows(db, "answers to a slot that there was not", """
        SELECT seq FROM fleet.log l WHERE slot_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM fleet.slots s WHERE s.id = l.slot_id AND s.symbol = l.symbol)
    """)  # fmt: skip


def of_the_log(db: Database) -> Iterator[Finding]:
    """Yield whether the log is whole, and what it says of time."""
    row = db.execute("SELECT count(*), coalesce(max(seq), 0), (SELECT seq FROM fleet.log_head) FROM fleet.log")
    number, last, head = row.fetchone() or (0, 0, 0)
    yield Finding(
        "entries of the log, the last, its head", f"{number:,}, {last:,}, {head:,}", not number == last == head
    )
    yield _rows(db, "answers observed before their slot", """
        SELECT l.seq, l.at, s.reserved_at FROM fleet.log l JOIN fleet.slots s ON s.id = l.slot_id
         WHERE l.at < s.reserved_at
    """)  # fmt: skip
    yield _rows(db, "entries later than PostgreSQL's clock", "SELECT seq FROM fleet.log WHERE at > clock_timestamp()")


def of_the_runs(db: Database) -> Iterator[Finding]:
    """Yield whether each fire time had one run, in time, and all of them ended."""
    statuses = db.execute("SELECT status, count(*) FROM fleet.runs GROUP BY 1 ORDER BY 1").fetchall()
    yield Finding("runs", ", ".join(f"{number} {status}" for status, number in statuses))
    yield _rows(db, "fire times with more than one run", """
        SELECT schedule, scheduled_for FROM fleet.runs WHERE trigger IN ('schedule', 'catch_up')
         GROUP BY 1, 2 HAVING count(*) > 1
    """)  # fmt: skip
    yield _rows(db, "fire times without a run", """
        SELECT schedule, scheduled_for, next FROM (
            SELECT schedule, scheduled_for,
                   lead(scheduled_for) OVER (PARTITION BY schedule ORDER BY scheduled_for) AS next
              FROM fleet.runs WHERE schedule LIKE '* * * * *%' AND trigger IN ('schedule', 'catch_up')) AS fired
         WHERE next > scheduled_for + interval '1 minute'
    """)  # fmt: skip
    yield _rows(db, "runs before their time", "SELECT id FROM fleet.runs WHERE started_at < scheduled_for")
    yield _rows(db, "runs still under way", "SELECT id, schedule FROM fleet.runs WHERE status = 'running'")
    yield _rows(db, "batches not done", "SELECT run_id, number FROM fleet.batches WHERE done_at IS NULL")
    yield _rows(db, "jobs left", "SELECT id, status, args FROM procrastinate_jobs WHERE task_name = 'collect_batch'")
    yield _rows(db, "complete runs that lack a symbol", """
        SELECT r.id, s.symbol FROM fleet.runs r JOIN fleet.batches b ON b.run_id = r.id, unnest(b.symbols) AS s (symbol)
         WHERE r.status = 'complete' AND NOT EXISTS (
               SELECT 1 FROM fleet.outcomes o
                WHERE o.run_id = r.id AND o.symbol = s.symbol AND o.outcome <> 'deferred')
    """)  # fmt: skip
    yield _rows(db, "runs whose counts are not those of their outcomes", """
        SELECT r.id FROM fleet.runs r JOIN (
               SELECT run_id, count(*) FILTER (WHERE outcome = 'stored') AS stored,
                      count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged FROM fleet.outcomes GROUP BY 1) AS o
               ON o.run_id = r.id
         WHERE r.status = 'complete' AND (r.stored <> o.stored OR r.unchanged <> o.unchanged)
    """)  # fmt: skip


def of_the_files(
    db: Database, machines: Sequence[Machine], undisturbed: Machine, *, after_failover: bool = False
) -> Iterator[Finding]:
    """Yield whether every machine's file has all that the log has, byte by byte what an undisturbed one has.

    `after_failover`: it may have more, of what the standby had not heard of.
    """
    answers = set(db.execute(
        "SELECT symbol, fleet.instant(at) FROM fleet.log WHERE kind IN ('answer', 'uncovered')"))  # fmt: skip
    outcomes = set(db.execute("SELECT run_id, symbol, outcome FROM fleet.outcomes WHERE outcome <> 'deferred'"))
    runs = set(db.execute("SELECT id, status, fleet.instant(scheduled_for) FROM fleet.runs"))
    expected = _exported(undisturbed)
    yield Finding("bytes of the export of an undisturbed machine", f"{len(expected):,}", not expected)
    for machine in [*machines, undisturbed]:
        with closing(sqlite3.connect(machine.database)) as file:
            looks = file.execute(_LOOKS).fetchall()
            ended = file.execute("SELECT run_id, symbol, outcome FROM outcomes WHERE outcome <> 'deferred'").fetchall()
            began = file.execute("SELECT id, status, scheduled_for FROM runs").fetchall()
            ((verdict,),) = file.execute("PRAGMA integrity_check").fetchall()
        found = [
            _difference(f"answers in the file of {machine.name}", answers, looks, may_be_more=after_failover),
            _difference(f"outcomes in the file of {machine.name}", outcomes, ended, may_be_more=after_failover),
            _difference(f"runs in the file of {machine.name}", runs, began),
            Finding(f"integrity of the file of {machine.name}", str(verdict), verdict != "ok"),
        ]
        if not after_failover:
            differs = _exported(machine) != expected
            found.append(Finding(f"export --original of {machine.name}", "differs", differs))
        yield from (one for one in found if one.is_broken)
    yield Finding("files that were compared", f"{len(machines) + 1}, with {len(answers):,} answers", not answers)


def of_secrets(db: Database, folders: Iterable[Path], pages: Iterable[str], secrets: Sequence[str]) -> Finding:
    """Return whether a secret is in any table, file or page."""
    places = [f"table {table}" for table in _tables_with(db, secrets)]
    for folder in folders:
        files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".env")
        places += [str(file.relative_to(folder.parent)) for file in files if _holds(file.read_bytes(), secrets)]
    places += ["a page"] * sum(_holds(page.encode(), secrets) for page in pages)
    return none("places with a key or a password", len(places), places[:3])


def of_the_logs(machines: Iterable[Machine]) -> Iterator[Finding]:
    """Yield tracebacks, and what machines logged as errors."""
    errors: Counter[str] = Counter()
    tracebacks: list[str] = []
    for machine in machines:
        text = machine.log.read_text(errors="replace") if machine.log.exists() else ""
        tracebacks += [
            f"{machine.name}: {one[:3000]}" for one in text.split("Traceback")[1:] if _OF_FAKETIME not in one[:1000]
        ]
        for line in text.splitlines():
            entry = _entry(line)
            if entry.get("level") in ("error", "critical"):
                errors[str(entry.get("event"))[:80]] += 1
    yield none("machines that logged a traceback", len(tracebacks), "".join(tracebacks[:1]))
    yield Finding(
        "errors logged", ", ".join(f"{number} of {event!r}" for event, number in errors.most_common(5)) or "0"
    )


_OF_FAKETIME = "OSError: [Errno 22] Invalid argument"
"""libfaketime fails the sleep of the thread that ends a process which hangs."""
_LOOKS = """
    SELECT symbol, observed_at FROM snapshots UNION SELECT symbol, at FROM looks UNION SELECT symbol, at FROM uncovered
"""


def _rows(db: Database, what: str, query: str) -> Finding:
    rows = db.execute(query.encode()).fetchall()
    return none(what, len(rows), rows[:1])


def _difference(what: str, expected: set[Any], rows: Iterable[Any], *, may_be_more: bool = False) -> Finding:
    found = set(rows)
    missing, more = expected - found, set() if may_be_more else found - expected
    if not missing and not more:
        return Finding(what, f"{len(found):,}")
    some = sorted(missing)[:2], sorted(more)[:2]
    return Finding(what, f"{len(missing)} missing, {len(more)} too many: {some}", is_broken=True)


def _exported(machine: Machine) -> bytes:
    """Return the documents of a machine's file, as `export --original` writes them."""
    target = machine.folder / "original.jsonl"
    target.unlink(missing_ok=True)
    done = machine.run("export", "--original", "--output", target.name)
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


def _tables_with(db: Database, secrets: Sequence[str]) -> Iterator[str]:
    tables = db.execute("""
        SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
    """).fetchall()
    for (table,) in tables:
        rows = db.execute(f"SELECT t::text FROM {table} AS t".encode())
        if any(_holds(row.encode(), secrets) for (row,) in rows):
            yield table


def _holds(content: bytes, secrets: Sequence[str]) -> bool:
    return any(secret.encode() in content for secret in secrets)


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}

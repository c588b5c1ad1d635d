"""The database read: opened read-only, once it is known to be ours and of this version."""

import difflib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipeline import instants
from pipeline.model.fields import CATALOGUE, FIELDS
from pipeline.model.outcomes import RunStatus
from pipeline.model.slots import Block, SpentSlot
from pipeline.model.symbols import Symbol, SymbolFreshness
from pipeline.model.values import is_valid
from pipeline.store.database import DatabaseError, opened
from pipeline.store.migrate import check, shipped

_ROWS_AT_ONCE = 20_000
"""Rows of a long question read at a time: between two such, the file is not held."""


class NoData(DatabaseError):
    """The database does not exist yet, is empty, or holds no snapshot."""


class SymbolNotFound(DatabaseError):
    """The database holds no snapshot of a symbol."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file read-only. Raise DatabaseError where it is absent, empty, not ours, or of another version."""
    if not path.exists():
        sandbox = path.with_name("sandbox.db")
        beside = f" (the sandbox's lies beside it: --database {sandbox})" if sandbox.exists() else ""
        raise NoData(f"there is no record yet at {path}: pipeline collect begins one{beside}")
    with opened(path, "ro") as db:
        migrations = shipped()
        version = check(db, path, migrations)
        if version == 0:
            raise NoData(f"{path} is empty: pipeline collect begins the record")
        if version < len(migrations):
            raise DatabaseError(f"{path} is of an older version: the next pipeline collect brings it up to date")
        yield db


def stored_symbols(db: sqlite3.Connection) -> list[str]:
    """Return the symbols of which a snapshot is kept, in order."""
    return [symbol for (symbol,) in db.execute("SELECT symbol FROM symbols WHERE snapshots > 0")]


def check_symbols(db: sqlite3.Connection, path: Path, symbols: Iterable[str] = ()) -> list[str]:
    """Return the symbols, in order and upper case.

    Raise NoData if no snapshot is stored at all, and SymbolNotFound, naming the nearest symbols, for an unknown one.
    """
    wanted = sorted({symbol.upper() for symbol in symbols})
    if not db.execute("SELECT EXISTS (SELECT 1 FROM symbols WHERE snapshots > 0)").fetchone()[0]:
        raise NoData(f"{path} holds no snapshot yet: pipeline collect makes the first, pipeline import takes some in")
    query = "SELECT symbol FROM symbols WHERE snapshots > 0 AND symbol IN (SELECT value FROM json_each(?))"
    found = {symbol for (symbol,) in db.execute(query, (json.dumps(wanted),))}
    for symbol in wanted:
        if symbol not in found:
            raise SymbolNotFound(_why_not_kept(symbol, stored_symbols(db)))
    return wanted


def _why_not_kept(symbol: str, known: list[str]) -> str:
    near = difflib.get_close_matches(symbol, known, n=3, cutoff=0.5)
    near = near or [one for one in known if one.startswith(symbol[:1])][:3]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no snapshot of {symbol[:40]}{hint} ({len(known):,} symbols are kept: pipeline symbols)"


def in_portions(db: sqlite3.Connection, symbols: Sequence[str] | None, since: str, until: str) -> Iterator[list[str]]:
    """Yield the symbols so many at a time as a portion of rows is kept of in those days. None: all ever asked."""
    query = "SELECT symbol, snapshots FROM symbols"
    if symbols is None:
        kept = db.execute(query).fetchall()
    else:
        wanted = "JOIN json_each(?) AS wanted ON wanted.value = symbol ORDER BY symbol"
        kept = db.execute(f"{query} {wanted}", (json.dumps(symbols),)).fetchall()
    days = (_day(until) - _day(since)).days + 2
    some: list[str] = []
    rows = 0
    for symbol, snapshots in kept:
        rows += min(snapshots, days) + 1
        some.append(symbol)
        if rows >= _ROWS_AT_ONCE:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _day(text: str) -> date:
    return date.fromisoformat(text[:10]) if text else date.min


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the symbols, as it ended or stands."""

    id: int
    trigger: str
    status: str
    scheduled_for: str | None
    started_at: str | None
    finished_at: str | None
    symbols: int
    due: int
    stored: int
    unchanged: int
    unknown: int
    failed: int
    rejected: int
    deferred: int
    requests: int
    seconds: float | None
    detail: str | None
    schedule: str | None
    """The cron line and zone whose fire time `scheduled_for` is."""


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """How one symbol ended in one run."""

    symbol: str
    outcome: str
    attempts: int
    at: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class SymbolState:
    """What is known of one symbol."""

    symbol: str
    state: str | None
    since: str | None
    last_look: str | None
    next_try: str | None
    last_try: str | None
    last_outcome: str | None
    snapshots: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Where the API's documents, as last received, and the field catalogue part ways."""

    unknown_fields: list[str]
    """Sent, and not in the catalogue: kept in `extra`."""
    absent_fields: list[str]
    """In the catalogue, and no longer sent for any symbol."""
    unreadable_fields: list[str]
    """Sent in a spelling that the column's type cannot hold: NULL in the column, kept in `extra`."""


_RUN = "SELECT {} FROM runs".format(", ".join(Run.__slots__))
_STATE = "SELECT {} FROM symbols".format(", ".join(SymbolState.__slots__))
_NEWEST = """
    SELECT snapshots.symbol, layouts.keys, snapshots.extra
      FROM symbols
      JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at = (
               SELECT newest.observed_at FROM snapshots AS newest
                WHERE newest.symbol = symbols.symbol ORDER BY newest.observed_at DESC LIMIT 1)
      JOIN layouts ON layouts.id = snapshots.layout_id
     WHERE symbols.state = 'covered'
"""
_LOOKED_AT_FOR = """
    SELECT symbol FROM runs JOIN outcomes ON outcomes.run_id = runs.id
     WHERE runs.id >= (SELECT first.id FROM runs AS first
                        WHERE first.schedule = :schedule AND first.scheduled_for = :fire_time
                          AND first.trigger IN ('schedule', 'catch_up'))
       AND runs.schedule = :schedule AND runs.scheduled_for = :fire_time
       AND outcome IN ('stored', 'unchanged', 'unknown')
"""


class Record:
    """Answers what the file knows. Each answer is read whole, so that no reader holds the file for long."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Record"]:
        """Open the file for reading. Raise DatabaseError where it is absent, not ours, or of another version."""
        with reading(path) as db:
            yield cls(db)

    def spent(self, since: datetime) -> list[SpentSlot]:
        """Return the slots whose windows run from an instant later than `since`."""
        rows = self._db.execute(
            "SELECT coalesce(finished_at, deadline_at), retry FROM requests"
            " WHERE coalesce(finished_at, deadline_at) > ? AND outcome IS NOT 'unsent'",
            (instants.to_text(since),),
        )
        return [SpentSlot(instants.from_text(at), bool(retry)) for at, retry in rows]

    def last_request_id(self) -> int:
        """Return the greatest id in the ledger, 0 where it is empty."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM requests").fetchone()[0])

    def block(self) -> Block | None:
        """Return the block that the API's last "quota ended" set, be it past, or None after a good answer."""
        row = self._db.execute("SELECT since, until FROM blocked").fetchone()
        return None if row is None else Block(instants.from_text(row[0]), instants.from_text(row[1]))

    def known(self) -> Iterator[SymbolFreshness]:
        """Yield the freshness of every symbol ever asked."""
        for symbol, *texts in self._db.execute("SELECT symbol, last_look, last_try, next_try FROM symbols"):
            last_look, last_try, next_try = (text and instants.from_text(text) for text in texts)
            yield SymbolFreshness(symbol, last_look, last_try, next_try)

    def looked_at_for(self, schedule: str, fire_time: datetime) -> set[str]:
        """Return the symbols that the runs for a fire time looked at, whatever the clock said then."""
        given = {"schedule": schedule, "fire_time": instants.to_text(fire_time)}
        return {symbol for (symbol,) in self._db.execute(_LOOKED_AT_FOR, given)}

    def runs(self, limit: int) -> list[Run]:
        """Return the last runs, the newest first."""
        rows = self._db.execute(f"{_RUN} ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [self._so_far(Run(*row)) for row in rows]

    def last_run(self) -> Run | None:
        """Return the last run, be it under way; None where there was none. A missed fire time is no run."""
        row = self._db.execute(f"{_RUN} WHERE status <> 'missed' ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else self._so_far(Run(*row))

    def missed(self, since: datetime) -> list[Run]:
        """Return the fire times since an instant that nothing ran for, the oldest first."""
        query = f"{_RUN} WHERE status = 'missed' AND scheduled_for >= ? AND schedule IS NOT NULL ORDER BY scheduled_for"
        return [Run(*row) for row in self._db.execute(query, (instants.to_text(since),))]

    def last_ended(self) -> Run | None:
        """Return the last run that ended, None where none did. An import is none, nor a missed fire time."""
        return self._newest("status NOT IN ('running', 'missed') AND trigger <> 'import'")

    def last_complete(self) -> Run | None:
        """Return the last run that was complete, None where none was. An import is none."""
        return self._newest("status = 'complete' AND trigger <> 'import'")

    def _newest(self, condition: str) -> Run | None:
        row = self._db.execute(f"{_RUN} WHERE {condition} ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else Run(*row)

    def statuses(self) -> dict[str, int]:
        """Return how many runs there are of each status, missed ones and imports too."""
        return dict(self._db.execute("SELECT status, count(*) FROM runs GROUP BY status"))

    def in_force_since(self) -> datetime | None:
        """Return since when there is a schedule, None where there is none: nothing runs by itself."""
        (since,) = self._db.execute("SELECT min(since) FROM schedules").fetchone()
        return since and instants.from_text(since)

    def run(self, run: int) -> Run | None:
        """Return one run, or None where there is none of that number."""
        row = self._db.execute(f"{_RUN} WHERE id = ?", (run,)).fetchone()
        return None if row is None else self._so_far(Run(*row))

    def _so_far(self, run: Run) -> Run:
        """Return a run that is under way with its counts up to now: its row has them when it has ended."""
        if run.status != RunStatus.RUNNING:
            return run
        counts = dict(self._db.execute("SELECT outcome, count(*) FROM outcomes WHERE run_id = ? GROUP BY 1", (run.id,)))
        (sent,) = self._db.execute(
            "SELECT count(*) FROM requests WHERE run_id = ? AND outcome IS NOT 'unsent'", (run.id,)
        ).fetchone()
        return replace(run, **counts, requests=sent)

    def outcomes(self, run: int) -> list[SymbolOutcome]:
        """Return how each symbol ended in a run. A run under way has those that ended so far."""
        rows = self._db.execute(
            "SELECT symbol, outcome, attempts, at, detail FROM outcomes WHERE run_id = ? ORDER BY at, symbol", (run,)
        )
        return [SymbolOutcome(*row) for row in rows]

    def states(self) -> dict[str, SymbolState]:
        """Return what is known of every symbol ever asked."""
        return {row[0]: SymbolState(*row) for row in self._db.execute(_STATE)}

    def drift(self) -> Drift:
        """Return where the newest documents and the catalogue part ways; all empty where nothing is kept."""
        layouts: set[str] = set()
        odd: dict[str, Any] = {}
        for _, keys, extra in self._db.execute(_NEWEST):
            layouts.add(keys)
            if extra is not None:
                odd.update((name, value) for name, value in json.loads(extra).items() if _is_unreadable(name, value))
        sent = {name for keys in layouts for name in json.loads(keys)}
        absent = [field.name for field in CATALOGUE if field.name not in sent] if layouts else []
        return Drift(sorted(sent - FIELDS.keys()), absent, sorted(odd))


def _is_unreadable(name: str, value: object) -> bool:
    return name in FIELDS and not is_valid(FIELDS[name], value)


def stale(
    symbols: Sequence[Symbol],
    states: Mapping[str, SymbolState],
    *,
    looked_since: datetime,
    in_force_since: datetime | None,
) -> list[Symbol]:
    """Return the symbols last looked at before an instant, or never; not those that the API does not cover.

    Where schedules came into force only after that instant (`in_force_since`; None: nothing runs by itself), nothing
    was missed yet, and what was never asked for is not stale.
    """
    since = instants.to_text(looked_since)
    never = "9999" if in_force_since is not None and in_force_since > looked_since else ""
    return [symbol for symbol in symbols if _is_stale(states.get(symbol), since, never)]


def _is_stale(state: SymbolState | None, since: str, never: str) -> bool:
    if state is None:
        return never < since
    return state.state != "unknown" and (state.last_look or never) < since

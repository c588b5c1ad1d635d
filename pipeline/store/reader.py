"""The reader: opens the database read-only, and answers what it holds about runs, symbols, slots and schedules."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pipeline import instants
from pipeline.errors import Undecodable
from pipeline.files import is_present
from pipeline.model.outcomes import Outcome, RunId, RunStatus
from pipeline.model.slots import NO_SYMBOL, Block, KeyId, LedgerMark, QuotaState, SpentSlot
from pipeline.model.symbols import Symbol, SymbolFreshness
from pipeline.store.database import DatabaseError, command_to_collect, connect, sandbox_beside
from pipeline.store.drift import Drift, read_drift
from pipeline.store.ledger_mark import read_mark
from pipeline.store.marker import read_marker, record_gone
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.noted_backups import NotedBackups, read_noted_backups
from pipeline.store.schema import Schema, read_schema, refuse_half_migrated
from pipeline.store.time_limit import LONGEST_READ, bounded


class NoData(DatabaseError):
    """The database does not exist yet, is empty, or holds no snapshot."""


@contextmanager
def open_any_version(path: Path) -> Iterator[tuple[sqlite3.Connection, Schema]]:
    """Open the database read-only, and yield its schema too, which may be older than this program's, or half migrated.

    Raise NoData if there is no database yet, RecordGone if there was one, and DatabaseError if the file is another
    program's, is newer, or cannot be read.
    """
    was_begun = read_marker(path) is not None  # before all else: where a record is just begun, its marker comes last
    if not is_present(path):
        if was_begun:
            raise record_gone(path)
        sandbox = sandbox_beside(path)
        hint = f" (the sandbox's database is beside it: --database {sandbox})" if sandbox.exists() else ""
        raise NoData(f"no database at {path}", remedy=f"create it with {command_to_collect(path)}{hint}")
    with connect(path, "ro") as db:
        schema = read_schema(db, path, shipped_migrations())
        is_empty = schema == Schema(0)
        if is_empty and was_begun:
            raise record_gone(path)
        if is_empty:
            raise NoData(f"{path} is empty", remedy=f"fill it with {command_to_collect(path)}")
        yield db, schema


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database read-only. Raise what `open_any_version` raises, and DatabaseError if the schema is older.

    Raise HalfMigrated while it is being migrated.
    """
    with open_any_version(path) as (db, schema):
        newest = len(shipped_migrations())
        refuse_half_migrated(schema, path)
        if schema.version < newest:
            raise DatabaseError(
                f"{path} has an older schema ({schema.version} of {newest})",
                remedy="pipeline migrate brings it up to date; questions also take --migrate-copy",
            )
        yield db


@dataclass(frozen=True, slots=True)
class Run:
    """A run, or a fire time that was missed. Instants are text, as in the file."""

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
    uncovered: int
    """How many of the unknown symbols had snapshots."""


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """How one symbol ended in one run. `attempts`: requests sent."""

    symbol: str
    outcome: str
    attempts: int
    at: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class SymbolState:
    """What is known of one symbol: `state` is `covered`, `unknown`, or None before the first observation."""

    symbol: str
    state: str | None
    since: str | None
    last_look: str | None
    next_try: str | None
    last_try: str | None
    last_outcome: str | None
    snapshots: int
    last_overview: str | None
    """When its overview was last observed; `last_look` may be a later answer that the API does not cover it."""

    @property
    def is_uncovered(self) -> bool:
        """Whether it has snapshots, and the API has answered since that it does not cover the symbol."""
        return self.state == "unknown" and self.snapshots > 0


class Listed(NamedTuple):
    """An interval in which a symbol was in the configured list: not at `until` itself; None: it still is."""

    since: datetime
    until: datetime | None


_LAST_ID = (1 << 63) - 1
"""No run has it: the largest integer of SQLite."""
_SELECT_RUN = "SELECT {} FROM runs".format(", ".join(Run.__slots__))
_SELECT_SYMBOL_STATE = "SELECT {} FROM symbols".format(", ".join(SymbolState.__slots__))
_FRESHNESS = """
    SELECT symbol, state IS 'unknown' AND snapshots > 0,
           iif(snapshots > 0, last_overview, last_look), last_try, next_try
      FROM symbols
"""
_OF_SYMBOLS = "WHERE symbol IN (SELECT value FROM json_each(?))"
_UNANSWERED = """
    SELECT symbol FROM requests
     WHERE outcome IS NULL
       AND NOT EXISTS (SELECT 1 FROM requests AS later
                        WHERE later.id > requests.id AND later.symbol = requests.symbol
                          AND later.outcome IS NOT NULL)
"""
"""The symbols whose last request has no end: its process was killed, or it is under way. The ledger forgets it with its
windows, a day later."""
_OBSERVED_FOR = """
    SELECT symbol FROM runs JOIN outcomes ON outcomes.run_id = runs.id
     WHERE runs.id >= (SELECT first.id FROM runs AS first
                        WHERE first.schedule = :schedule AND first.scheduled_for = :fire_time
                          AND first.trigger IN ('schedule', 'catch_up'))
       AND runs.schedule = :schedule AND runs.scheduled_for = :fire_time
       AND (outcome IN ('stored', 'unchanged')
            OR outcome = 'unknown'
               AND NOT EXISTS (SELECT 1 FROM symbols WHERE symbols.symbol = outcomes.symbol AND snapshots > 0))
"""


class Reader:
    """Answers questions about one database. Each answer is read whole, so that none depends on how fast it is used."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, within: timedelta = LONGEST_READ) -> Iterator["Reader"]:
        """Open the database for reading: all answers are of one moment, whatever is written meanwhile.

        Raise what `open_for_reading` raises, and TooSlow after that time.
        """
        with open_for_reading(path) as db, bounded(db, path, within):
            db.execute("BEGIN")
            yield cls(db)

    def quota_state(self, since: datetime, key: KeyId | None = None) -> QuotaState:
        """Return what counts against the quota, with the slots that ended, or had their deadline, after `since`.

        Of one key, whose slots from before keys were told apart count too; None: of all keys together.
        """
        slots = self._db.execute(
            "SELECT coalesce(finished_at, deadline_at), retry FROM requests"
            " WHERE coalesce(finished_at, deadline_at) > :since AND outcome IS NOT 'unsent'"
            " AND (:key IS NULL OR key IS NULL OR key = :key)",
            {"since": instants.to_text(since), "key": key},
        )
        spent = [SpentSlot(instants.from_text(at), bool(retry)) for at, retry in slots]
        (last_id,) = self._db.execute("SELECT coalesce(max(id), 0) FROM requests").fetchone()
        return QuotaState(spent, max(self.blocks(key), key=lambda one: one.until, default=None), last_id)

    def blocks(self, key: KeyId | None = None) -> list[Block]:
        """Return the blocks of one key, or of any, as they were set: some may be over."""
        found = self._db.execute(
            "SELECT since, until, reason FROM blocked WHERE :key IS NULL OR key IN ('', :key)", {"key": key}
        )
        return [_block(*row) for row in found]

    def in_flight(self, key: KeyId | None = None) -> int:
        """Return how many requests of runs without limits may be out, or lost with them; of one key, or of all."""
        (count,) = self._db.execute(
            "SELECT coalesce(sum(requests), 0) FROM in_flight WHERE :key IS NULL OR key = :key", {"key": key}
        ).fetchone()
        return int(count)

    def presumed_requests(self, since: datetime) -> int:
        """Return how many slots stand for what killed runs without limits may have sent: counted, and to be counted."""
        query = "SELECT count(*) FROM requests WHERE symbol = ? AND coalesce(finished_at, deadline_at) > ?"
        (count,) = self._db.execute(query, (NO_SYMBOL, instants.to_text(since))).fetchone()
        return int(count) + self.in_flight()

    def ledger_mark(self) -> LedgerMark | None:
        """Return the newest instant that the ledger's time is known to have reached, None if it has none."""
        return read_mark(self._db)

    def newest_slot(self) -> datetime | None:
        """Return when the newest slot was closed, or else reserved, or the quota blocked; None if nothing was."""
        slot = self._db.execute(
            "SELECT coalesce(finished_at, reserved_at) FROM requests"
            " ORDER BY coalesce(finished_at, deadline_at) DESC LIMIT 1"
        ).fetchone()
        (block,) = self._db.execute("SELECT max(since) FROM blocked").fetchone()
        return max((instants.from_text(at) for at in (slot and slot[0], block) if at is not None), default=None)

    def last_contradicted(self) -> datetime | None:
        """Return when the API's server last contradicted a clock that was behind, by its time; None if it did not.

        Its time then dated the end of a request, which had been reserved by the clock.
        """
        (at,) = self._db.execute(
            "SELECT max(finished_at) FROM requests WHERE outcome = 'wrong_clock' AND finished_at > deadline_at"
        ).fetchone()
        return None if at is None else instants.from_text(at)

    def key_named(self, name: str) -> KeyId | None:
        """Return the key that was last configured by a name, None if there was none."""
        row = self._db.execute("SELECT id FROM keys WHERE name = ?", (name,)).fetchone()
        return None if row is None else KeyId(row[0])

    def freshness(self, symbols: Collection[Symbol] | None = None) -> Iterator[SymbolFreshness]:
        """Yield the freshness of these symbols, as far as they were ever requested or imported; None: of all."""
        unanswered = {Symbol(symbol) for (symbol,) in self._db.execute(_UNANSWERED)}
        if symbols is None:
            found = self._db.execute(_FRESHNESS)
        else:
            unanswered.intersection_update(symbols)
            found = self._db.execute(f"{_FRESHNESS} {_OF_SYMBOLS}", (json.dumps([*symbols]),))
        for symbol, is_uncovered, *texts in found:
            last_observed, last_try, next_try = (None if text is None else instants.from_text(text) for text in texts)
            is_unanswered = symbol in unanswered
            unanswered.discard(symbol)
            yield SymbolFreshness(symbol, last_observed, last_try, next_try, bool(is_uncovered), is_unanswered)
        yield from (SymbolFreshness(symbol, None, None, None, is_unanswered=True) for symbol in unanswered)

    def last_requests(self, symbols: Collection[Symbol], *, but_of: RunId | None) -> dict[Symbol, datetime]:
        """Return when each of these symbols was last requested, as far as the ledger still knows.

        `but_of`: a run whose requests do not count.
        """
        query = f"""
            SELECT symbol, max(reserved_at) FROM requests
              {_OF_SYMBOLS} AND outcome IS NOT 'unsent' AND run_id IS NOT ?
             GROUP BY symbol
        """
        found = self._db.execute(query, (json.dumps([*symbols]), but_of))
        return {Symbol(symbol): instants.from_text(at) for symbol, at in found}

    def observed_for(self, schedule: str, fire_time: datetime) -> set[str]:
        """Return the symbols that the runs for a fire time observed, whatever the clock said then.

        `{}` for a symbol that has snapshots does not count.
        """
        given = {"schedule": schedule, "fire_time": instants.to_text(fire_time)}
        return {symbol for (symbol,) in self._db.execute(_OBSERVED_FOR, given)}

    def runs(self, limit: int, *, before: int | None = None) -> list[Run]:
        """Return the last `limit` runs, newest first; missed fire times are among them.

        `before`: with smaller ids only.
        """
        query = f"{_SELECT_RUN} WHERE id < ? ORDER BY id DESC LIMIT ?"
        rows = self._db.execute(query, (_LAST_ID if before is None else min(before, _LAST_ID), limit)).fetchall()
        return [self._counted(Run(*row)) for row in rows]

    def last_run(self) -> Run | None:
        """Return the last run, finished or not, or None. Missed fire times and runs on demand do not count."""
        row = self._db.execute(
            f"{_SELECT_RUN} WHERE status <> 'missed' AND trigger <> 'on_demand' ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return None if row is None else self._counted(Run(*row))

    def missed_fire_times(self, since: datetime) -> list[Run]:
        """Return the fire times since an instant for which nothing ran, oldest first."""
        query = (
            f"{_SELECT_RUN} WHERE status = 'missed' AND scheduled_for >= ? AND schedule IS NOT NULL"
            " ORDER BY scheduled_for"
        )
        return [Run(*row) for row in self._db.execute(query, (instants.to_text(since),))]

    def last_finished_run(self) -> Run | None:
        """Return the last run that ended, or None. Imports, missed fire times and runs on demand do not count."""
        return self._last_where("status NOT IN ('running', 'missed') AND trigger NOT IN ('import', 'on_demand')")

    def last_complete_run(self) -> Run | None:
        """Return the last run that was complete, or None. Imports and runs on demand do not count."""
        return self._last_where("status = 'complete' AND trigger NOT IN ('import', 'on_demand')")

    def last_run_on_demand(self) -> Run | None:
        """Return the last run that clients caused, or None."""
        return self._last_where("trigger = 'on_demand'")

    def _last_where(self, condition: str) -> Run | None:
        row = self._db.execute(f"{_SELECT_RUN} WHERE {condition} ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else Run(*row)

    def counts_by_status(self) -> dict[str, int]:
        """Return the number of runs by status; imports and missed fire times count too, runs on demand do not."""
        on_demand = self.on_demand_counts()
        every = self._db.execute("SELECT status, count(*) FROM runs GROUP BY status")
        return {status: number - on_demand.get(status, 0) for status, number in every}

    def on_demand_counts(self) -> dict[str, int]:
        """Return the number of runs on demand by status."""
        query = "SELECT status, count(*) FROM runs WHERE trigger = 'on_demand' GROUP BY status"
        return dict(self._db.execute(query))

    def run(self, run: int) -> Run | None:
        """Return the run of that id, or None."""
        if abs(run) > _LAST_ID:
            return None
        row = self._db.execute(f"{_SELECT_RUN} WHERE id = ?", (run,)).fetchone()
        return None if row is None else self._counted(Run(*row))

    def _counted(self, run: Run) -> Run:
        """Return the run; if it is under way, with its counts so far: its row gets them when it ends."""
        if run.status != RunStatus.RUNNING:
            return run
        counts = dict(self._db.execute("SELECT outcome, count(*) FROM outcomes WHERE run_id = ? GROUP BY 1", (run.id,)))
        if not counts.keys() <= set(Outcome):
            raise Undecodable(f"an outcome of run {run.id} that there is not")
        (sent,) = self._db.execute(
            "SELECT count(*) FROM requests WHERE run_id = ? AND outcome IS NOT 'unsent' AND symbol <> ''", (run.id,)
        ).fetchone()
        (uncovered,) = self._db.execute(
            "SELECT count(*) FROM outcomes JOIN symbols USING (symbol)"
            " WHERE run_id = ? AND outcome = 'unknown' AND snapshots > 0",
            (run.id,),
        ).fetchone()
        # Under a horizon the ledger is out of sight, and the run has the number of requests itself. A record that
        # follows a fleet has no ledger: there they are those of symbols that have ended.
        (ended,) = self._db.execute(
            "SELECT coalesce(sum(attempts), 0) FROM outcomes WHERE run_id = ?", (run.id,)
        ).fetchone()
        return replace(run, **counts, requests=max(sent, ended, run.requests), uncovered=uncovered)

    def outcomes(
        self,
        run: int,
        *,
        only: Collection[str] | None = None,
        limit: int | None = None,
        after: tuple[str, str] | None = None,
    ) -> list[SymbolOutcome]:
        """Return how each symbol ended in a run, in that order. A run under way has those that ended so far.

        `only`: those that ended so. `after`: those behind the one of this instant, as text, and symbol.
        """
        query = """
            SELECT symbol, outcome, attempts, at, detail FROM outcomes
             WHERE run_id = :run AND (at, symbol) > (:at, :symbol)
               AND (:only IS NULL OR outcome IN (SELECT value FROM json_each(:only)))
             ORDER BY at, symbol LIMIT :limit
        """
        at, symbol = after or ("", "")
        chosen = None if only is None else json.dumps(list(only))
        most = -1 if limit is None else limit
        given = {"run": run, "only": chosen, "at": at, "symbol": symbol, "limit": most}
        return [SymbolOutcome(*row) for row in self._db.execute(query, given)]

    def symbol_states(self) -> dict[str, SymbolState]:
        """Return the state of every symbol ever requested or imported."""
        return {row[0]: SymbolState(*row) for row in self._db.execute(_SELECT_SYMBOL_STATE)}

    def universe(self) -> dict[str, list[Listed]]:
        """Return when each symbol was in the configured list, oldest first."""
        found: dict[str, list[Listed]] = {}
        query = "SELECT symbol, since, until FROM universe ORDER BY symbol, since"
        for symbol, since, until in self._db.execute(query):
            listed = Listed(instants.from_text(since), None if until is None else instants.from_text(until))
            found.setdefault(symbol, []).append(listed)
        return found

    def backups(self, *, until: datetime) -> NotedBackups:
        """Return the backups that are noted. `until`: what is dated later is from the future."""
        return read_noted_backups(self._db, until=until)

    def drift(self) -> Drift:
        """Return where the newest documents and the field catalogue disagree."""
        return read_drift(self._db)


def _block(since: str, until: str, reason: str | None) -> Block:
    return Block(instants.from_text(since), instants.from_text(until), reason)

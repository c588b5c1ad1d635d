"""Importing: the record of a single machine becomes the fleet's. It is resumed where it was cut short.

If the fleet has no runs yet, the record comes whole: its runs keep their ids, and the file becomes a follower. If it
has some, only what was observed is added, under a run of its own.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import instants
from pipeline.clock import Clock
from pipeline.errors import ExitCode, Trouble
from pipeline.fleet.entries import intervals_text
from pipeline.fleet.follow import Follower, fleet_id
from pipeline.fleet.invented import has_invented_data
from pipeline.fleet.originals import Part, parts
from pipeline.fleet.pool import Pool, fetch
from pipeline.model.outcomes import RunStatus
from pipeline.model.slots import EVERY_KEY, KeyId
from pipeline.model.symbols import Symbol
from pipeline.store.database import connect
from pipeline.store.in_flight import count_lost
from pipeline.store.log_entries import configuration_of, set_followed
from pipeline.store.log_place import Followed, read_followed
from pipeline.store.runs import ABANDONED, close_abandoned_runs
from pipeline.store.stored_symbols import is_first_company_invented
from pipeline.store.writer import Writer, open_writer

OnProgress = Callable[[int, int], None]
"""Called with how many symbols have been imported, and how many there are."""
_RUNS_AT_ONCE = 1_000


class NotImportable(Trouble):
    """The record must not be mixed with what the fleet has."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    is_whole: bool
    """With its runs: the file follows the fleet now. Else what was observed was added, and the file is as before."""
    was_begun: bool
    """Whether an earlier call had added a part of it, or all."""
    symbols: int
    observations: int


class _Begun(NamedTuple):
    """An import, as the fleet has it."""

    is_whole: bool
    last_run: int
    first_seq: int
    upto: str
    finished_at: datetime | None


class _Importer(NamedTuple):
    """An import that is under way."""

    pool: Pool
    db: sqlite3.Connection
    record: str
    begun: _Begun

    def is_done(self, upto: str) -> bool:
        """Whether a part is in the log already. Parts are compared by kind, then by name."""
        return _order(upto) <= _order(self.begun.upto)


async def import_record(
    database: Path,
    pool: Pool,
    *,
    member: str,
    keys: Mapping[KeyId, str],
    clock: Clock,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Imported:
    """Add a migrated record, whose lock the caller holds, to the fleet. `keys`: the names of this machine's, by id.

    It may be interrupted, and called again. Raise NotImportable, FleetError, DatabaseError.
    """
    fleet = await fleet_id(pool)
    async with open_writer(database, sleep=clock.sleep) as writer:
        with connect(database, "ro") as db:
            cursor = read_followed(db)
            (record,) = db.execute("SELECT applied_at FROM migrations WHERE version = 1").fetchone()
            if cursor is not None:
                await _refuse_follower(pool, database, record, cursor, fleet)
            await _refuse_mixing(db, pool, database)
            if cursor is None:
                await writer.write(_close_runs, instants.to_text(clock.now()))
            begun = await _begin(db, pool, record, member=member, keys=keys, clock=clock)
            importer = _Importer(pool, db, record, begun)
            if begun.is_whole:
                await _add_schedules(importer)
                cursor = await _follow_up_to(begun, cursor, writer, pool, fleet=fleet, clock=clock)
                await _add_runs(importer, member)
                await _add_lists(importer, fleet, at=instants.to_text(clock.now()))
            symbols = await _add_observations(importer, on_progress)
            counts = db.execute(_COUNTS).fetchone()
            place = (await fetch(pool, _END, record, member, symbols, *counts))[0][0]
        if begun.is_whole and cursor is not None and place > cursor.seq:
            await writer.write(set_followed, Followed(fleet, cursor.timeline, place))
    return Imported(begun.is_whole, bool(begun.upto), symbols, sum(counts))


# Whether it may be


_IS_BEGUN = "SELECT EXISTS (SELECT 1 FROM fleet.imports WHERE is_whole AND record = %s)"


async def _refuse_follower(pool: Pool, database: Path, record: str, cursor: Followed, fleet: str) -> None:
    """Raise NotImportable for a record that follows a fleet, unless that is because it was being imported into it."""
    if cursor.fleet != fleet:
        raise NotImportable(f"{database} follows another fleet ({cursor.fleet})", remedy="pipeline fleet detach")
    if not (await fetch(pool, _IS_BEGUN, record))[0][0]:
        raise NotImportable(f"{database} follows this fleet: its record is the fleet's already")


async def _refuse_mixing(db: sqlite3.Connection, pool: Pool, database: Path) -> None:
    """Raise NotImportable for a record that is invented where the fleet is not, or the other way round."""
    ours = is_first_company_invented(db)
    theirs = await has_invented_data(pool)
    if ours is not None and theirs is not None and ours != theirs:
        what, where = ("invented data of the sandbox", "real") if ours else ("real data", "invented")
        raise NotImportable(
            f"{database} holds {what}, and the fleet {where} data: they would be mixed",
            remedy="import it into a fleet of its own, in another PostgreSQL database",
        )


# What is added, in this order: a part is a statement, and named, so that it is added once


_KINDS = ("", "schedules", "run", "lists", "symbol")


def _order(upto: str) -> tuple[int, int, str]:
    kind, _, name = upto.partition(" ")
    return _KINDS.index(kind), len(name) if kind == "run" else 0, name


_BEGIN = """
    SELECT is_whole, last_run, first_seq, upto, finished_at FROM fleet.begin_import(%s, %s, %s, %s, %s)
"""
_END = "SELECT fleet.end_import(%s, %s, %s, %s, %s, %s)"
_COUNTS = "SELECT (SELECT count(*) FROM snapshots), (SELECT count(*) FROM looks), (SELECT count(*) FROM uncovered)"
_TIMELINE = "SELECT coalesce((SELECT timeline FROM fleet.timelines ORDER BY began_at DESC LIMIT 1), 0)"
_LAST_RUN = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'"


async def _begin(
    db: sqlite3.Connection,
    pool: Pool,
    record: str,
    *,
    member: str,
    keys: Mapping[KeyId, str],
    clock: Clock,
) -> _Begun:
    ahead = clock.now() - (await fetch(pool, "SELECT clock_timestamp()"))[0][0]

    def at(text: str | None) -> str | None:
        return None if text is None else instants.to_text(instants.from_text(text) - ahead)

    slots = [
        {"key_id": one, "run_id": run, "symbol": symbol, "retry": bool(retry), "reserved_at": at(reserved),
         "deadline_at": at(deadline), "finished_at": at(finished), "outcome": outcome}
        for key, run, symbol, retry, reserved, deadline, finished, outcome in db.execute(
            "SELECT key, run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome FROM requests"
        )
        for one in ([key] if key else keys)
    ]  # fmt: skip
    blocks = [
        {"id": one, "name": keys.get(one, one), "blocked_since": at(since), "blocked_until": at(until),
         "blocked_by": reason}
        for key, since, until, reason in db.execute("SELECT key, since, until, reason FROM blocked")
        for one in (keys if key == EVERY_KEY else [KeyId(key)])
    ]  # fmt: skip
    (last_run,) = db.execute(_LAST_RUN).fetchone()
    given = (record, last_run, member, json.dumps(slots), json.dumps(blocks))
    begun = _Begun(*(await fetch(pool, _BEGIN, *given))[0])
    if begun.finished_at is not None and begun.last_run < last_run:
        day = f"{begun.finished_at.astimezone(UTC):%Y-%m-%d}"
        raise NotImportable(
            f"this record was imported on {day} already, and has collected since: the fleet has runs of these numbers",
            remedy="import what pipeline export --original writes of it into a new file, and give that to the fleet",
        )
    return begun


async def _close_runs(db: Any, instants_now: Sequence[str]) -> Sequence[None]:
    for now in instants_now:
        await close_abandoned_runs(db, RunStatus.INTERRUPTED, ABANDONED, at=now)
    await count_lost(db, instants_now)
    return [None] * len(instants_now)


async def _follow_up_to(
    begun: _Begun, cursor: Followed | None, writer: Writer, pool: Pool, *, fleet: str, clock: Clock
) -> Followed:
    """Make the file a follower that has what was in the log before the import began. Return how far it has the log."""
    if cursor is None:
        cursor = Followed(fleet, (await fetch(pool, _TIMELINE))[0][0], 0)
        await writer.write(set_followed, cursor)
    if cursor.seq >= begun.first_seq - 1:
        return cursor
    follower = Follower(writer, pool, cursor, clock=clock, on_progress=lambda _seq, _head: None)
    await follower.catch_up()
    return follower.cursor


async def _add_schedules(importer: _Importer) -> None:
    if not importer.is_done("schedules"):
        rows = importer.db.execute("SELECT schedule, since FROM schedules").fetchall()
        given = ([name for name, _ in rows], [instants.from_text(since) for _, since in rows])
        await fetch(importer.pool, "SELECT fleet.import_schedules(%s, 'schedules', %s, %s)", importer.record, *given)


_RUN_COLUMNS = (
    "id", "trigger", "schedule", "scheduled_for", "started_at", "finished_at", "status", "symbols", "due", "requests",
    "seconds", "detail", "uncovered", "stored", "unchanged", "unknown", "failed", "rejected", "deferred",
)  # fmt: skip


async def _add_runs(importer: _Importer, member: str) -> None:
    query = "SELECT {} FROM runs WHERE id <= ? ORDER BY id".format(", ".join(_RUN_COLUMNS))
    rows = importer.db.execute(query, (importer.begun.last_run,)).fetchall()
    for start in range(0, len(rows), _RUNS_AT_ONCE):
        chunk = rows[start : start + _RUNS_AT_ONCE]
        upto = f"run {chunk[-1][0]}"
        if importer.is_done(upto):
            continue
        runs = [dict(zip(_RUN_COLUMNS, row, strict=True)) for row in chunk]
        text = json.dumps([{**run, "member": member, "key_refused": False, "reported": True} for run in runs])
        await fetch(importer.pool, "SELECT fleet.import_runs(%s, %s, %s)", importer.record, upto, text)


async def _add_lists(importer: _Importer, fleet: str, *, at: str) -> None:
    if importer.is_done("lists"):
        return
    query = "SELECT symbol, since, configuration, until FROM universe WHERE configuration <> ? ORDER BY symbol, since"
    rows = [(Symbol(symbol), *row) for symbol, *row in importer.db.execute(query, (configuration_of(fleet),))]
    part = Part()
    for start in range(0, len(rows), _RUNS_AT_ONCE * 10):
        body = intervals_text(rows[start : start + _RUNS_AT_ONCE * 10])
        part.add("symbols", at, None, body=body)
    await _add_part(importer, "lists", part)


async def _add_observations(importer: _Importer, on_progress: OnProgress) -> int:
    """Add what was observed, symbol by symbol; return how many symbols there are."""
    symbols = [symbol for (symbol,) in importer.db.execute("SELECT symbol FROM symbols ORDER BY symbol")]
    left = [symbol for symbol in symbols if not importer.is_done(f"symbol {symbol}")]
    done = len(symbols) - len(left)
    for part, last, number in parts(importer.db, left, with_runs=importer.begun.is_whole):
        await _add_part(importer, f"symbol {last}", part)
        done += number
        on_progress(done, len(symbols))
    return len(symbols)


_ADD = """
    SELECT fleet.import_entries(
        %s, %s, %b::text[], %b::timestamptz[], %b::text[], %b::bigint[], %b::int[], %b::int[], %b::text[], %s)
"""


async def _add_part(importer: _Importer, upto: str, part: Part) -> None:
    await fetch(importer.pool, _ADD, importer.record, upto, *part.columns(), json.dumps(part.states))

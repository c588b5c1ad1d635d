"""Detaching: makes a follower's file a record that collects for itself, with what counts against the quota."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from pipeline import instants
from pipeline.errors import ExitCode, Trouble
from pipeline.fleet.connection import FleetError, connected
from pipeline.model.slots import EVERY_KEY, Block, KeyId
from pipeline.store.blocks import ledger_block
from pipeline.store.database import connect
from pipeline.store.ledger_transfer import KeptLedger, add_ledger
from pipeline.store.log_entries import stop_following
from pipeline.store.log_place import followed

_CLOCKS_APART = timedelta(minutes=1)
"""Requests of one symbol in one run that are less apart are one, seen by two clocks."""
LEDGER_UNKNOWN = "the fleet's last requests are not known, and may have used up the plan"


class NotFollowing(Trouble):
    """The file follows no fleet, or another one."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Detached:
    """What became of the quota when a file was detached."""

    requests: int
    """How many requests that still count the file has by what PostgreSQL knows, its own that were imported included."""
    unreachable: str | None
    """Why none could be, so that all is blocked for the longest window; None: they were."""
    blocked_until: datetime | None
    """Until when nothing may be requested with at least one of the keys."""


def detach(database: Path, url: str | None, *, longest: timedelta | None, now: datetime) -> Detached:
    """Let a file follow its fleet no longer, and take over the requests that count in the longest window.

    `longest`: of all keys that this machine has; None without limits. Where PostgreSQL cannot be reached, or `url` is
    None, nothing is requested for that long. The caller holds the file's lock. It may be repeated. Raise NotFollowing,
    DatabaseError.
    """
    place = followed(database)
    if place is None:
        raise NotFollowing(f"{database} follows no fleet: it collects for itself already")
    unreachable = None
    try:
        fleet, ledger = _read_ledger(url, longest, now=now)
    except FleetError as error:
        unreachable = str(error)
        blocks = [] if longest is None else [(EVERY_KEY, ledger_block(LEDGER_UNKNOWN, longest, now=now))]
        fleet, ledger = place.fleet, KeptLedger("", 0, [], blocks)
    if fleet != place.fleet:
        raise NotFollowing(
            f"{database} follows another fleet ({place.fleet}; that of PIPELINE_FLEET_URL is {fleet})",
            remedy="set PIPELINE_FLEET_URL to the one of its fleet: what that has requested counts against the plan",
        )
    with connect(database, "rw") as db:
        counting = _recognised(db, ledger.requests)
        add_ledger(db, replace(ledger, requests=counting))
        stop_following(db)
    until = max((block.until for _, block in ledger.blocks if block.until > now), default=None)
    return Detached(len({(symbol, at) for _, symbol, _, at, *_ in counting}), unreachable, until)


_NOW = "SELECT id::text, clock_timestamp(), (SELECT coalesce(max(r.id), 0) FROM fleet.runs r) FROM fleet.about"
_SLOTS = """
    SELECT coalesce(run_id, 0), symbol, retry, reserved_at, deadline_at, finished_at, outcome, key_id FROM fleet.slots
     WHERE counts_from > %s - greatest(%s, (SELECT max(period) FROM fleet.limits))
"""
_BLOCKS = "SELECT id, blocked_since, blocked_until, blocked_by FROM fleet.keys WHERE blocked_until > %s"
_FORGOTTEN = """
    SELECT id FROM fleet.keys
     WHERE CASE WHEN pg_is_in_recovery() THEN true ELSE timeline <> fleet.timeline() END
"""
"""The keys of which this server may not know the last slots: it is a standby, or took over and has given none since."""


def _read_ledger(url: str | None, longest: timedelta | None, *, now: datetime) -> tuple[str, KeptLedger]:
    """Return which fleet it is, and what counts in it at one moment, by this machine's clock. Raise FleetError."""
    if url is None:
        raise FleetError("no PIPELINE_FLEET_URL is configured")
    with connected(url) as db, db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        fleet, at, last_run = _row(db, _NOW)
        ahead = max(now - at, timedelta())  # behind, it would make slots older than they are
        requests = [
            (run, symbol, int(retry), *(at and instants.to_text(at + ahead) for at in times), outcome, key)
            for run, symbol, retry, *times, outcome, key in db.execute(_SLOTS, (at, longest or timedelta()))
        ]
        blocks = [
            (KeyId(key), Block(since + ahead, until + ahead, reason))
            for key, since, until, reason in db.execute(_BLOCKS, (at,))
        ]
        if longest is not None:
            unknown = ledger_block(LEDGER_UNKNOWN, longest, now=now)
            blocks += [(KeyId(key), unknown) for (key,) in db.execute(_FORGOTTEN)]
    return fleet, KeptLedger("", last_run, requests, blocks)


def _recognised(db: sqlite3.Connection, requests: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the requests; those that were imported from the file are reserved at the instant that they are in it.

    So they do not count twice. The clocks of the machine and the server may have moved since the import.
    """
    own: dict[tuple[int, str, int], list[tuple[str | None, str]]] = {}
    for run, symbol, retry, key, at in db.execute("SELECT run_id, symbol, retry, key, reserved_at FROM requests"):
        own.setdefault((run, symbol, retry), []).append((key, at))
    used = set[tuple[str, str, str]]()
    recognised = []
    for run, symbol, retry, reserved, *rest, key in requests:
        at = instants.from_text(reserved)
        same = [
            (abs(instants.from_text(one) - at), one)
            for its_key, one in own.get((run, symbol, retry), ())
            if its_key in (None, key) and (symbol, key, one) not in used
        ]
        apart, one = min(same, default=(_CLOCKS_APART, reserved))
        if apart < _CLOCKS_APART:
            used.add((symbol, key, one))
        recognised.append((run, symbol, retry, one, *rest, key))
    return recognised


def _row(db: psycopg.Connection[Any], query: str) -> Any:
    return db.execute(query.encode()).fetchone()

"""Ledger transfer: the requests that still count in a window, out of a replaced database into the restored one."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline import instants
from pipeline.model.slots import EVERY_KEY, Block, KeyId
from pipeline.store.blocks import block_requests
from pipeline.store.in_flight import lost_requests
from pipeline.store.requests import UNSENT


@dataclass(frozen=True, slots=True)
class KeptLedger:
    """What counts against the quota in one database. Rows are as in the tables."""

    record: str
    """When the record was begun: copies of one record have the same."""
    last_run: int
    """The greatest id that a run ever had."""
    requests: Sequence[tuple[Any, ...]]
    """`_COLUMNS` of each request that ended, or had its deadline, within the window; then its key."""
    blocks: Sequence[tuple[KeyId, Block]]
    clock: tuple[Any, ...] | None = None
    """The row of the table `clock`, if there is one; in some versions without its last column."""


_COLUMNS = "run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome"


def read_ledger(db: sqlite3.Connection, *, now: datetime, longest: timedelta) -> KeptLedger:
    """Return what may count in a window of that length, from a database of any version of the schema.

    Windows end now or, in case this clock is ahead, where the ledger ends. What killed runs without limits may have
    sent counts as if it ended now.
    """
    since = min(now, _newest(db) or now) - longest
    (record,) = db.execute("SELECT applied_at FROM migrations WHERE version = 1").fetchone()
    (last_run,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    has_keys = any(name == "key" for _, name, *_ in db.execute("PRAGMA table_info(requests)"))
    requests = db.execute(
        f"SELECT {_COLUMNS}, {'key' if has_keys else 'NULL'} FROM requests"
        " WHERE coalesce(finished_at, deadline_at) > ? AND outcome IS NOT ?",
        (instants.to_text(since), UNSENT),
    ).fetchall()
    # The key, or in older versions an id; since, until, and in newer versions the reason.
    blocks = [
        (KeyId(key) if has_keys else EVERY_KEY, _block(*block)) for key, *block in db.execute("SELECT * FROM blocked")
    ]
    clock = db.execute("SELECT * FROM clock").fetchone() if _has_clock(db) else None
    return KeptLedger(record, last_run, [*requests, *lost_requests(db, now=now)], blocks, clock)


def _newest(db: sqlite3.Connection) -> datetime | None:
    (newest,) = db.execute("SELECT max(coalesce(finished_at, deadline_at)) FROM requests").fetchone()
    return newest and instants.from_text(newest)


def _has_clock(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'clock'").fetchone() is not None


def add_ledger(db: sqlite3.Connection, ledger: KeptLedger) -> int:
    """Add what the database lacks of a ledger, in one transaction, and return the number of requests added or closed.

    Runs that begin later get ids that the replaced database has not used, either.
    """
    db.execute("BEGIN IMMEDIATE")
    known = {
        (symbol, reserved_at): (number, finished_at)
        for number, symbol, reserved_at, finished_at in db.execute(
            "SELECT id, symbol, reserved_at, finished_at FROM requests"
        )
    }
    count = 0
    for row in ledger.requests:
        _, symbol, _, reserved_at, _, finished_at, outcome, _ = row
        number, ended = known.get((symbol, reserved_at), (None, None))
        if number is None:
            db.execute(f"INSERT INTO requests ({_COLUMNS}, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        elif ended is None and finished_at is not None:
            db.execute("UPDATE requests SET finished_at = ?, outcome = ? WHERE id = ?", (finished_at, outcome, number))
        else:
            continue
        count += 1
    db.execute("INSERT INTO sqlite_sequence SELECT 'runs', 0 WHERE 'runs' NOT IN (SELECT name FROM sqlite_sequence)")
    db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'runs'", (ledger.last_run,))
    for key, block in ledger.blocks:
        block_requests(db, block, key)
    if ledger.clock is not None:
        id_, at, boot, uptime, *confirmed_at = ledger.clock
        row = id_, at, boot, uptime, confirmed_at[0] if confirmed_at else None
        db.execute("INSERT OR REPLACE INTO clock (id, at, boot, uptime, confirmed_at) VALUES (?, ?, ?, ?, ?)", row)
    db.execute("COMMIT")
    return count


def _block(since: str, until: str, reason: str | None = None) -> Block:
    return Block(instants.from_text(since), instants.from_text(until), reason)

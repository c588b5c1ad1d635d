"""Mutants: mistakes in the fleet's functions that would cost money or answers. Each is made in one database."""

from collections.abc import Callable
from typing import Any

import psycopg

Database = psycopg.Connection[Any]


def no_row_lock(db: Database) -> None:
    """Slots are counted without the lock of their key's row: two members count the same ones."""
    _edit(db, "lock_key", " FOR UPDATE", "")
    _edit(db, "reserve", "ORDER BY k.id FOR UPDATE", "ORDER BY k.id")


def counted_from_reservation(db: Database) -> None:
    """A request counts from when its slot was taken, though it leaves later."""
    _count_from(db, "reserved_at")


def the_dead_forgotten(db: Database) -> None:
    """Slots of members that died do not count once their deadline has passed."""
    _count_from(db, "CASE WHEN outcome IS DISTINCT FROM 'died' THEN coalesce(finished_at, deadline_at) END")
    is_alive = "s.finished_at IS NULL AND s.deadline_at > _now OR s.finished_at < s.deadline_at"
    _edit(db, "room", "s.retry OR", f"{is_alive}) AND (s.retry OR")


def timeline_unchecked(db: Database) -> None:
    """Another server's slots count as if it had never been away."""
    _edit(db, "lock_key", "_key.timeline IS DISTINCT FROM _timeline", "false")


def seq_of_a_sequence(db: Database) -> None:
    """Places in the log come from a sequence, as an identity column would have them, and not from the locked head."""
    db.execute("CREATE SEQUENCE fleet.mutant INCREMENT 10")
    _edit(db, "lock_head", "RETURN _head.seq", "RETURN nextval('fleet.mutant')")
    _edit(db, "lock_head", " FOR UPDATE", "")


Mutant = Callable[[Database], None]
IN_THE_LEDGER: tuple[Mutant, ...] = (no_row_lock, counted_from_reservation, the_dead_forgotten)
MUTANTS: tuple[Mutant, ...] = (*IN_THE_LEDGER, timeline_unchecked, seq_of_a_sequence)


def _edit(db: Database, function: str, old: str, new: str) -> None:
    """Replace a part of a function's source, which must be there: else the mutant would be none."""
    row = db.execute("SELECT pg_get_functiondef(%s::regproc)", (f"fleet.{function}",)).fetchone()
    assert row is not None
    (source,) = row
    assert old in source, f"fleet.{function} has no {old!r} any more: write its mutant again"
    db.execute(source.replace(old, new).encode())


def _count_from(db: Database, expression: str) -> None:
    whole = f"CASE WHEN outcome IS DISTINCT FROM 'unsent' THEN {expression} END"
    db.execute(f"ALTER TABLE fleet.slots ALTER COLUMN counts_from SET EXPRESSION AS ({whole})".encode())

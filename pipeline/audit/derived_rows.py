"""Derived rows: compares the tables that are not of one symbol's observations with what they have to be."""

import sqlite3
from collections.abc import Iterable, Mapping

from pipeline import instants
from pipeline.audit.damages import Damages
from pipeline.errors import Undecodable
from pipeline.model.fields import CATALOGUE
from pipeline.model.outcomes import Outcome
from pipeline.model.renames import Rename, spans
from pipeline.model.symbols import Symbol
from pipeline.store.catalogue_migration import statement_only
from pipeline.store.catalogue_views import FIELD_COLUMNS, views

_INSTANTS: Mapping[str, tuple[str, str]] = {
    "runs": ("id", "scheduled_for started_at finished_at"),
    "outcomes": ("run_id || ' ' || symbol", "at"),
    "requests": ("id", "reserved_at deadline_at finished_at"),
    "universe": ("symbol", "since until"),
    "renames": ("symbol", "at"),
    "spans": ("symbol", "since until"),
    "blocked": ("key", "since until"),
    "schedules": ("schedule", "since"),
    "backups": ("file", "at"),
    "clock": ("id", "at"),
    "in_flight": ("run_id", "since"),
}
"""Of each table its key, and the columns that hold instants."""


def check_derived(db: sqlite3.Connection, damages: Damages) -> None:
    """Add what is damaged in tables other than those of observations."""
    for table, (key, columns) in _INSTANTS.items():
        for column in columns.split():
            wrong = f"strftime('%Y-%m-%dT%H:%M:%fZ', {column}) IS NOT {column}"
            _add(db, damages, table, f"whose {column} is no instant", f"SELECT {key} FROM {table} WHERE {wrong}")
    known = ", ".join(f"'{outcome}'" for outcome in Outcome)
    outcome = "SELECT run_id || ' ' || symbol FROM outcomes WHERE"
    _add(db, damages, "outcomes", "of a missing run", f"{outcome} run_id NOT IN (SELECT id FROM runs)")
    _add(db, damages, "outcomes", "with an unknown outcome", f"{outcome} outcome NOT IN ({known})")
    _add(db, damages, "universe", "ending before its beginning", "SELECT symbol FROM universe WHERE until <= since")
    _check_spans(db, damages)
    _check_catalogue(db, damages)


def _add(db: sqlite3.Connection, damages: Damages, table: str, problem: str, query: str) -> None:
    for (key,) in db.execute(query):
        damages.add(table, problem, str(key))


def _check_spans(db: sqlite3.Connection, damages: Damages) -> None:
    """Compare the spans with those that follow of the renames."""
    try:
        renames = [
            Rename(Symbol(old), Symbol(new), None if at is None else instants.from_text(at), bool(reused))
            for old, new, at, reused in db.execute("SELECT symbol, renamed_to, at, reused FROM renames")
        ]
        expected = {tuple(one) for one in spans(renames)}
    except (Undecodable, TypeError, StopIteration):
        return  # a rename is damaged, and that is found above
    present = {*db.execute("SELECT symbol, company, since, until FROM spans")}
    _add_each(damages, "spans", "unlike what the renames give", (str(one[0]) for one in expected ^ present))


def _check_catalogue(db: sqlite3.Connection, damages: Damages) -> None:
    """Compare the field catalogue, and the views that are made of it, with the program's."""
    wanted = {
        (one.column, one.name, str(one.kind), str(one.part), one.unit, int(one.is_fiscal), one.missing, one.description)
        for one in CATALOGUE
    }
    present = {*db.execute(f"SELECT {FIELD_COLUMNS} FROM fields")}
    _add_each(damages, "fields", "unlike those of the program", (str(one[0]) for one in wanted ^ present))
    sql = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    different = (name for name, text in views(CATALOGUE).items() if sql.get(name) != statement_only(text))
    _add_each(damages, "sqlite_master", "unlike those of the program", different)


def _add_each(damages: Damages, table: str, problem: str, keys: Iterable[str]) -> None:
    for key in sorted({*keys}):
        damages.add(table, problem, key)

"""Checks of renames: those that the API's answers suggest, and configured ones that the data contradict."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from pipeline import instants
from pipeline.doctor.findings import Finding, Level
from pipeline.instants import text_for_people
from pipeline.model.anomalies import another_company
from pipeline.model.renames import EARLIEST, Rename, before, config_line, find_cycle, possible_rename
from pipeline.model.symbols import Symbol
from pipeline.model.values import Value
from pipeline.monitoring.checks import Kind
from pipeline.query.companies import unwritten_renames
from pipeline.text import few

_UNDER = "under [symbols.renamed]"


def check_renames(db: sqlite3.Connection, renames: Iterable[Rename], symbols: Iterable[Symbol]) -> Iterator[Finding]:
    """Yield what is to be said about renames, given those configured and the symbols requested."""
    configured = tuple(renames)
    yield from _unwritten(db, configured)
    yield from _suggested(db, configured, frozenset(symbols))
    for one in configured:
        if one.on is None:
            yield from _undated(db, one)
        else:
            yield from _joined(db, one, instants.to_text(one.on), configured)
            yield from _dated(db, one, instants.to_text(one.on))


def _unwritten(db: sqlite3.Connection, configured: tuple[Rename, ...]) -> Iterator[Finding]:
    """Yield the renames that the database does not have as they are configured."""
    missing = unwritten_renames(db, configured)
    if missing:
        found = f"not in the database yet: {few(missing)}"
        yield Finding(Kind.RENAMES, Level.NOTE, found, "the next pipeline collect, import or run writes them")


def _suggested(db: sqlite3.Connection, configured: tuple[Rename, ...], symbols: frozenset[Symbol]) -> Iterator[Finding]:
    """Yield the symbols that were answered, when last requested, with another symbol's overview."""
    query = """
        SELECT symbol, (SELECT detail FROM outcomes WHERE outcomes.symbol = symbols.symbol ORDER BY run_id DESC LIMIT 1)
          FROM symbols WHERE last_outcome = 'rejected' ORDER BY symbol
    """
    for symbol, detail in db.execute(query).fetchall():
        one = possible_rename(symbol, detail or "") if symbol in symbols else None
        if one is None or one.old in {known.old for known in configured} or find_cycle([*configured, one]) is not None:
            continue
        found = f"{one.old} was answered as {one.new}"
        line = config_line(_fitting(db, one))
        yield Finding(Kind.RENAMES, Level.NOTE, found, f"if it was renamed, add {_UNDER}: {line}")


def _fitting(db: sqlite3.Connection, one: Rename) -> Rename:
    """Return the rename, with the day of the first wrong answer if the new symbol was another company's before."""
    company = _newest(db, one.old)
    other = None if company is None else _newest(db, one.new, until=company.observed_at)
    if company is None or other is None or another_company(company.values, other.values) is None:
        return one
    query = "SELECT min(at) FROM outcomes WHERE symbol = ? AND outcome = 'rejected' AND at > ?"
    (at,) = db.execute(query, (one.old, company.observed_at)).fetchone()
    return one if at is None else replace(one, on=instants.of_day(instants.from_text(at).date(), ends=False))


def _undated(db: sqlite3.Connection, one: Rename) -> Iterator[Finding]:
    """Yield that the symbols of a rename without a day are, by their newest snapshots, of different companies."""
    old, new = _newest(db, one.old), _newest(db, one.new)
    if old is None or new is None or another_company(old.values, new.values) is None:
        return
    found = f"{one.old} and {one.new} were joined, but are {old.shown} and {new.shown}"
    remedy = f'remove the rename, or give it its day: {_UNDER}, {one.old} = {{to = "{one.new}", on = YYYY-MM-DD}}'
    yield Finding(Kind.RENAMES, Level.NOTE, found, remedy)


def _joined(db: sqlite3.Connection, one: Rename, on: str, configured: Iterable[Rename]) -> Iterator[Finding]:
    """Yield that the old symbol before the day and the new one since then are of different companies."""
    given_up = (instants.to_text(other.on) for other in configured if other.old == one.new and other.on is not None)
    old = _newest(db, one.old, until=before(on))
    new = _newest(db, one.new, since=on, until=before(next(given_up, instants.LATEST)))
    if old is None or new is None or another_company(old.values, new.values) is None:
        return
    found = f"{one.old} before {on[:10]} and {one.new} since then were joined, but are {old.shown} and {new.shown}"
    yield Finding(Kind.RENAMES, Level.NOTE, found, f"remove the rename, or correct its symbols and its day {_UNDER}")


def _dated(db: sqlite3.Connection, one: Rename, on: str) -> Iterator[Finding]:
    """Yield what was observed of the old symbol after the day, and of the company's new one before it."""
    company = _newest(db, one.old, until=before(on)) or _newest(db, one.new, since=on)
    if company is None:
        return
    later = None if one.reused else _newest(db, one.old, since=on)
    if later is not None and another_company(company.values, later.values) is None:
        found = (
            f"{one.old} was still {later.shown} at {text_for_people(later.observed_at)}, after its rename to {one.new}"
        )
        yield Finding(
            Kind.RENAMES, Level.NOTE, found, "set `on` to a later day, so that the company has these snapshots"
        )
    elif later is not None:
        found = f"{one.old} is another company since its rename to {one.new}: {later.shown}"
        line = config_line(replace(one, reused=True))
        yield Finding(Kind.RENAMES, Level.NOTE, found, f"to collect that one too: {_UNDER}, {line}")
    earlier = _newest(db, one.new, until=before(on))
    if earlier is not None and another_company(company.values, earlier.values) is None:
        at = text_for_people(earlier.observed_at)
        found = f"{one.new} was {earlier.shown} already at {at}, before the rename of {one.old}"
        yield Finding(
            Kind.RENAMES, Level.NOTE, found, "set `on` to an earlier day, so that the company has these snapshots"
        )


class _Known(NamedTuple):
    """What is known of who a symbol was."""

    observed_at: str
    values: Mapping[str, Value]
    """Of the columns cik and name."""

    @property
    def shown(self) -> str:
        """Who it was, for people."""
        return f"{self.values['name'] or 'without a name'} (CIK {self.values['cik'] or 'missing'})"


def _newest(
    db: sqlite3.Connection, symbol: str, *, since: str = EARLIEST, until: str = instants.LATEST
) -> _Known | None:
    """Return who a symbol was in its newest snapshot of an interval; None without one."""
    query = """
        SELECT observed_at, cik, name FROM snapshots JOIN profiles ON profiles.id = profile_id
         WHERE symbol = ? AND observed_at BETWEEN ? AND ? ORDER BY observed_at DESC LIMIT 1
    """
    row = db.execute(query, (symbol, since, until)).fetchone()
    return None if row is None else _Known(row[0], {"cik": row[1], "name": row[2]})

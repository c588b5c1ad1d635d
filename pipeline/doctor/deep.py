"""The deep check: reads all of a database, and compares it with its checksums, digests and sources.

SQLite's own check only covers the structure of the file, which stays whole if a bit flips within a value.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.audit.damages import Damage, Damages
from pipeline.audit.derived_rows import check_derived
from pipeline.audit.observed_rows import Observations, damaged_text, every_symbol
from pipeline.audit.part_digests import check_parts
from pipeline.doctor.findings import Finding, Level
from pipeline.monitoring.checks import Kind
from pipeline.store.database import connect, is_damage
from pipeline.text import count, cut

OnDeep = Callable[[int, int], object]
"""Called with how many rows are compared, and how many there are about."""

_LONGEST_KEY = 60
_REMEDY = "restore a backup (pipeline restore); pipeline doctor --deep --database FILE says whether one is sound"


def check_deeply(database: Path, on_deep: OnDeep) -> Iterator[Finding]:
    """Yield what is damaged in a database of this program's schema, as far as it can be known.

    Each symbol is read in a transaction of its own: a run may write meanwhile. Raise DatabaseError.
    """
    damages = Damages()
    stopped = None
    with connect(database, "ro") as db:
        db.text_factory = damaged_text
        observations = Observations(db, damages)
        try:
            _compare(db, damages, observations, on_deep)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            stopped = str(error)
    found = [_finding(damage) for damage in damages]
    yield from found
    if stopped is not None:
        yield Finding(Kind.INTEGRITY, Level.PROBLEM, f"deep: not read to the end: {stopped}", _REMEDY)
    elif not found:
        yield Finding(Kind.INTEGRITY, Level.OK, f"deep: {count(observations.compared, 'snapshot')}, as written")
    if observations.unsummed:
        older = f"deep: {count(observations.unsummed, 'snapshot')} without a checksum: stored by an earlier version"
        yield Finding(Kind.INTEGRITY, Level.NOTE, older, "nothing to do; only their daily values were not compared")


def _compare(db: sqlite3.Connection, damages: Damages, observations: Observations, on_deep: OnDeep) -> None:
    (total,) = db.execute(
        "SELECT (SELECT coalesce(sum(snapshots), 0) FROM symbols) + (SELECT coalesce(max(id), 0) FROM profiles)"
        " + (SELECT coalesce(max(id), 0) FROM statements)"
    ).fetchone()
    done = 0
    for rows, different in check_parts(db):
        observations.bad_parts.update(different)
        done += rows
        on_deep(min(done, total), total)
    for symbol in every_symbol(db):
        done += observations.check(symbol)
        on_deep(min(done, total), total)
    observations.add_bad_parts()
    check_derived(db, damages)


def _finding(damage: Damage) -> Finding:
    more = damage.rows - len(damage.keys)
    keys = ", ".join(cut(key, _LONGEST_KEY) for key in damage.keys) + (f" and {more:,} more" if more else "")
    found = f"{damage.table}: {count(damage.rows, 'row')} {damage.problem}: {keys}"
    return Finding(Kind.INTEGRITY, Level.PROBLEM, found, _REMEDY)

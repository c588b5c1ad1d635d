"""Snapshots: writes observations, as the versions of each symbol's document and the interval each was seen in."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.checksums import ADDED, Summed, checksum, sum_of, sum_of_confirmations
from pipeline.model.document import (
    Overview,
    Parts,
    Version,
    decode_layout,
    digest_of_layout,
    same_document,
    split_document,
    version_of,
)
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS
from pipeline.model.intervals import Interval, Merged, merge
from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol
from pipeline.store.parts import PARTS, parts_are_there, with_parts
from pipeline.store.symbol_states import NewObservations, derive_states, extend_states, store_uncovered
from pipeline.store.writer import BulkStatement, bulk_insert


class Covered(NamedTuple):
    """An observation of an overview, split and ready to be written. `at` is an instant as text."""

    symbol: Symbol
    at: str
    parts: Parts
    version: Version


class Uncovered(NamedTuple):
    """An observation that the API does not cover the symbol."""

    symbol: Symbol
    at: str


Observation: TypeAlias = Covered | Uncovered


def covered(overview: Overview, at: datetime) -> Covered:
    """Return the observation of an overview at an instant."""
    parts = split_document(overview)
    return Covered(overview.symbol, instants.to_text(at), parts, version_of(parts))


def observation(symbol: Symbol, at: datetime, overview: Overview | None) -> Observation:
    """Return an observation at an instant. None: the API does not cover the symbol."""
    return Uncovered(symbol, instants.to_text(at)) if overview is None else covered(overview, at)


def repeated(observation: Observation, at: datetime) -> Observation:
    """Return the same observation at another instant."""
    return observation._replace(at=instants.to_text(at))


def text_length(observation: Observation) -> int:
    """Return about how many characters an observation holds: a few thousand, unless somebody made it huge."""
    if isinstance(observation, Uncovered):
        return 0
    texts = sum(len(value) for value in observation.parts.profile if isinstance(value, str))
    return texts + len(observation.parts.extra or "")


async def store_observations(
    db: Connection, observations: Sequence[Observation], *, noted_at: str = ""
) -> list[Outcome]:
    """Store observations, and return the outcome of each, in order.

    Whatever the order in which observations are stored, the tables end up the same. Of two documents for one instant
    the first stays, and the other is rejected. `noted_at`: an instant up to which they are credible, although no run
    has begun by then.
    """
    seen = [one for one in observations if isinstance(one, Covered)]
    outcomes = iter(await _store_covered(db, seen, noted_at))
    gone = [(one.symbol, one.at) for one in observations if isinstance(one, Uncovered)]
    await store_uncovered(db, gone, noted_at=noted_at)
    return [Outcome.UNKNOWN if isinstance(one, Uncovered) else next(outcomes) for one in observations]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the file holds of a symbol before its new observations are written."""

    newest: Interval[Version] | None
    was_uncovered: bool
    """Whether the API ever said that it does not cover the symbol."""


@dataclass(slots=True)
class Changes:
    """The rows to delete, insert and update. `looks`: the later observations that confirmed a snapshot."""

    deleted_snapshots: list[tuple[Symbol, str]] = field(default_factory=list)
    deleted_looks: list[tuple[Symbol, str]] = field(default_factory=list)
    profiles: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    statements: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    layouts: dict[bytes, str] = field(default_factory=dict)
    snapshots: list[tuple[Any, ...]] = field(default_factory=list)
    looks: list[tuple[Symbol, str]] = field(default_factory=list)
    reconfirmed: list[tuple[Symbol, str, str | None, int]] = field(default_factory=list)
    """Of each the last is what its checksum grows by."""
    extended_states: list[NewObservations] = field(default_factory=list)
    derived_states: list[Symbol] = field(default_factory=list)


# The columns in the SQL below are the field catalogue's, a constant: no name in it comes from outside.
_IF_NEW = "ON CONFLICT (digest) DO NOTHING"
_DAILY = tuple(f.column for f in DAILY_FIELDS)
_ADD_PROFILES = bulk_insert("profiles", ["digest", *(f.column for f in PROFILE_FIELDS)], _IF_NEW)
_ADD_STATEMENTS = bulk_insert("statements", ["digest", *(f.column for f in REPORTED_FIELDS)], _IF_NEW)
_ADD_LAYOUTS = bulk_insert("layouts", ["digest", "keys"], _IF_NEW)
_ADD_SNAPSHOTS = bulk_insert(
    "snapshots",
    [
        "symbol",
        "observed_at",
        "reconfirmed_at",
        "profile_id",
        "statement_id",
        "layout_id",
        *_DAILY,
        "extra",
        "checksum",
    ],
    profile_id="(SELECT id FROM profiles WHERE digest = {})",
    statement_id="(SELECT id FROM statements WHERE digest = {})",
    layout_id="(SELECT id FROM layouts WHERE digest = {})",
)
_ADD_LOOKS = bulk_insert("looks", ["symbol", "at"])
_RECONFIRM = BulkStatement(
    4,
    f"UPDATE snapshots SET reconfirmed_at = column3, checksum = {ADDED.format('column4')} FROM",
    "WHERE snapshots.symbol = column1 AND snapshots.observed_at = column2",
)
_VERSION_COLUMNS = f"""
    observed_at, confirmed_at, profiles.digest, statements.digest, layouts.keys, extra, {", ".join(_DAILY)}
"""
_NEWEST = f"""
    SELECT wanted.value, EXISTS (SELECT 1 FROM uncovered WHERE uncovered.symbol = wanted.value), {_VERSION_COLUMNS}
      FROM json_each(?) AS wanted
      LEFT JOIN snapshots ON snapshots.symbol = wanted.value AND snapshots.observed_at = (
               SELECT newest.observed_at FROM snapshots AS newest
                WHERE newest.symbol = wanted.value ORDER BY newest.observed_at DESC LIMIT 1)
      LEFT JOIN profiles ON profiles.id = profile_id
      LEFT JOIN statements ON statements.id = statement_id
      LEFT JOIN layouts ON layouts.id = layout_id
"""
_NEIGHBOURS = f"""
    SELECT {_VERSION_COLUMNS} FROM snapshots {with_parts(*PARTS)}
     WHERE snapshots.symbol = :symbol AND {parts_are_there(*PARTS)}
       AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = :symbol AND observed_at <= :first
                                     ORDER BY observed_at DESC LIMIT 1), :first)
       AND observed_at <= coalesce((SELECT observed_at FROM snapshots WHERE symbol = :symbol AND observed_at > :last
                                     ORDER BY observed_at LIMIT 1), :last)
     ORDER BY observed_at
"""
"""The snapshots that observations from `first` to `last` can change: those they fall into or between, and the next."""


async def _store_covered(db: Connection, observations: Sequence[Covered], noted_at: str) -> list[Outcome]:
    """Store overviews, and return the outcome of each.

    Nearly always they are newer than all that is stored of their symbol. But the wall clock may have been set back, and
    recordings are imported in any order: then the snapshots around them are read, and the rows that differ are written.
    """
    stored = await _read_stored(db, {one.symbol for one in observations})
    outcomes: list[Outcome] = [Outcome.REJECTED] * len(observations)
    by_symbol: dict[Symbol, list[int]] = {}
    for number, one in enumerate(observations):
        by_symbol.setdefault(one.symbol, []).append(number)
    changes = Changes()
    for symbol, numbers in by_symbol.items():
        new = [observations[number] for number in numbers]
        newest = stored[symbol].newest
        before = [newest] if newest is not None else []
        is_late = newest is not None and min(one.at for one in new) <= newest.confirmed_at
        if is_late:
            before = await _read_neighbours(db, symbol, min(one.at for one in new), max(one.at for one in new))
        merged = merge(before, [(one.at, one.version) for one in new], same_document)
        for number, outcome in zip(numbers, merged.outcomes, strict=True):
            outcomes[number] = outcome
        _add_rows(changes, symbol, before, merged)
        _add_parts(changes, before, merged, new)
        if is_late or stored[symbol].was_uncovered:
            changes.derived_states.append(symbol)
        else:
            changes.extended_states.append(_new_observations(symbol, new, merged))
    await write_changes(db, changes, noted_at)
    return outcomes


async def _read_stored(db: Connection, symbols: Iterable[Symbol]) -> dict[str, _Stored]:
    rows = await db.execute_fetchall(_NEWEST, (json.dumps(list(symbols)),))
    return {symbol: _Stored(_newest(row), bool(uncovered)) for symbol, uncovered, *row in rows}


def _newest(row: Sequence[Any]) -> Interval[Version] | None:
    """Return the newest interval, with only the last of its confirmations: newer observations need no more."""
    observed_at, confirmed_at, *_ = row
    if observed_at is None:
        return None
    return Interval(_version(row), observed_at, (confirmed_at,) if confirmed_at > observed_at else ())


def _version(row: Sequence[Any]) -> Version:
    _, _, profile, statement, keys, extra, *daily = row
    return Version(profile, statement, tuple(daily), _keys_of(keys), extra)


async def read_intervals(db: Connection, symbol: Symbol) -> list[Interval[Version]]:
    """Return all intervals of a symbol."""
    return await _read_neighbours(db, symbol, "", instants.LATEST)


async def _read_neighbours(db: Connection, symbol: Symbol, first: str, last: str) -> list[Interval[Version]]:
    """Return the intervals that observations from `first` to `last` can change, with all their confirmations."""
    rows = list(await db.execute_fetchall(_NEIGHBOURS, {"symbol": symbol, "first": first, "last": last}))
    if not rows:
        return []
    query = "SELECT at FROM looks WHERE symbol = ? AND at BETWEEN ? AND ? ORDER BY at"
    looks = [at for (at,) in await db.execute_fetchall(query, (symbol, rows[0][0], rows[-1][1]))]
    return [
        Interval(_version(row), row[0], tuple(looks[bisect_left(looks, row[0]) : bisect_right(looks, row[1])]))
        for row in rows
    ]


def _add_rows(changes: Changes, symbol: Symbol, before: Sequence[Interval[Version]], merged: Merged[Version]) -> None:
    changes.deleted_snapshots += [(symbol, at) for at in merged.removed]
    changes.deleted_looks += [(symbol, at) for at in merged.removed_observations]
    changes.looks += [(symbol, at) for at in merged.added_observations]
    sums = {one.observed_at: sum_of_confirmations(symbol, one.confirmations) for one in before if merged.confirmed}
    changes.reconfirmed += [
        (symbol, at, _reconfirmed_at(one), sum_of_confirmations(symbol, one.confirmations) - sums[at])
        for at, one in ((one.observed_at, one) for one in merged.confirmed)
    ]
    changes.snapshots += [snapshot_row(symbol, interval) for interval in merged.added]


def _add_parts(
    changes: Changes, before: Sequence[Interval[Version]], merged: Merged[Version], new: Sequence[Covered]
) -> None:
    """Add the parts of the new snapshots. Most snapshots share theirs with the one before."""
    begun = {interval.observed_at for interval in merged.added}
    profiles = {interval.version.profile for interval in before}
    statements = {interval.version.statement for interval in before}
    for one in new:
        if one.at in begun:
            version, parts = one.version, one.parts
            if version.profile not in profiles:
                changes.profiles[version.profile] = parts.profile
            if version.statement not in statements:
                changes.statements[version.statement] = parts.reported
            changes.layouts[_layout_digest(parts.layout)] = _keys_text(parts.layout)


def snapshot_row(symbol: Symbol, interval: Interval[Version]) -> tuple[Any, ...]:
    """Return the row of a new snapshot."""
    version, at = interval.version, interval.observed_at
    layout = _layout_digest(version.layout)
    summed = Summed(symbol, at, version.profile, version.statement, layout, version.daily, version.extra)
    total = sum_of(summed, _DAILY) + sum_of_confirmations(symbol, interval.confirmations)
    return (
        symbol, at, _reconfirmed_at(interval), version.profile, version.statement, layout,
        *version.daily, version.extra, checksum(total),
    )  # fmt: skip


def _reconfirmed_at(interval: Interval[Version]) -> str | None:
    """Return when the version was last confirmed, or None if it was observed only once."""
    return interval.confirmed_at if interval.confirmations else None


def _new_observations(symbol: Symbol, new: Sequence[Covered], merged: Merged[Version]) -> NewObservations:
    at = [one.at for one in new]
    last = max(at)
    return NewObservations(symbol, min(at), last, merged.outcomes[at.index(last)], len(merged.added))


async def write_changes(db: Connection, changes: Changes, noted_at: str = "") -> None:
    """Write the rows of changes."""
    for table, column, rows in (
        ("snapshots", "observed_at", changes.deleted_snapshots),
        ("looks", "at", changes.deleted_looks),
    ):
        if rows:
            await db.executemany(f"DELETE FROM {table} WHERE symbol = ? AND {column} = ?", rows)
    await _ADD_PROFILES.write(db, [(key, *values) for key, values in changes.profiles.items()])
    await _ADD_STATEMENTS.write(db, [(key, *values) for key, values in changes.statements.items()])
    await _ADD_LAYOUTS.write(db, list(changes.layouts.items()))
    await _ADD_SNAPSHOTS.write(db, sorted(changes.snapshots, key=_key))
    await _ADD_LOOKS.write(db, changes.looks)
    await _RECONFIRM.write(db, changes.reconfirmed)
    await extend_states(db, changes.extended_states)
    if changes.derived_states:
        await derive_states(db, changes.derived_states, noted_at=noted_at)


@lru_cache(maxsize=64)
def _layout_digest(keys: tuple[str, ...]) -> bytes:
    """Return the digest of a layout; there are about a dozen layouts in all."""
    return digest_of_layout(keys)


@lru_cache(maxsize=64)
def _keys_of(text: str) -> tuple[str, ...]:
    return decode_layout(text)


@lru_cache(maxsize=64)
def _keys_text(keys: tuple[str, ...]) -> str:
    return json.dumps(keys, ensure_ascii=False)


def _key(row: Sequence[Any]) -> tuple[str, str]:
    """Return a snapshot's primary key: pages that are filled in its order are filled better."""
    return row[0], row[1]

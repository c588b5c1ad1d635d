"""Snapshots, written: every observation of a symbol, so that any past day can be asked for."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.document import Overview, Parts, Version, digest, same_document, split_document, version_of
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS
from pipeline.model.intervals import Interval, Merged, merge
from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol
from pipeline.store.symbol_states import COVERED, RESTATE
from pipeline.store.writer import BulkStatement, bulk_insert


class Look(NamedTuple):
    """One overview, ready to be written."""

    symbol: Symbol
    at: str
    parts: Parts
    version: Version


class Observation(NamedTuple):
    """What one look at a symbol found, ready to be written: a document, or that the API does not cover it (None)."""

    symbol: Symbol
    at: str
    look: Look | None

    def again(self, at: datetime) -> "Observation":
        """Return the same seen at another instant."""
        text = instants.to_text(at)
        return Observation(self.symbol, text, self.look and self.look._replace(at=text))

    def weight(self) -> int:
        """Return about how many characters it holds: a few thousand, unless somebody means ill."""
        if self.look is None:
            return 0
        texts = sum(len(value) for value in self.look.parts.profile if isinstance(value, str))
        return texts + len(self.look.parts.extra or "")


def observation(symbol: Symbol, at: datetime, overview: Overview | None) -> Observation:
    """Return a look, taken apart. None: the API does not cover the symbol."""
    return Observation(symbol, instants.to_text(at), None if overview is None else look(overview, at))


@dataclass(frozen=True, slots=True)
class _Known:
    """What the file has of a symbol before a look is written."""

    newest: Interval[Version] | None
    was_uncovered: bool


@dataclass(slots=True)
class _Plan:
    """The rows that make the record what it would be, had all looks come in order."""

    remove_snapshots: list[tuple[Symbol, str]] = field(default_factory=list)
    remove_looks: list[tuple[Symbol, str]] = field(default_factory=list)
    profiles: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    statements: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    layouts: dict[bytes, str] = field(default_factory=dict)
    snapshots: list[tuple[Any, ...]] = field(default_factory=list)
    looks: list[tuple[Symbol, str]] = field(default_factory=list)
    confirm: list[tuple[Symbol, str, str | None]] = field(default_factory=list)
    covered: list[tuple[Any, ...]] = field(default_factory=list)
    restate: list[Symbol] = field(default_factory=list)


# SQL. The columns are the field catalogue's, which is a constant: no name in these texts comes from outside.


_ONCE = "ON CONFLICT (digest) DO NOTHING"
_DAILY = [f.column for f in DAILY_FIELDS]
_ADD_PROFILES = bulk_insert("profiles", ["digest", *(f.column for f in PROFILE_FIELDS)], _ONCE)
_ADD_STATEMENTS = bulk_insert("statements", ["digest", *(f.column for f in REPORTED_FIELDS)], _ONCE)
_ADD_LAYOUTS = bulk_insert("layouts", ["digest", "keys"], _ONCE)
_ADD_SNAPSHOTS = bulk_insert(
    "snapshots",
    ["symbol", "observed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", *_DAILY, "extra"],
    profile_id="(SELECT id FROM profiles WHERE digest = {})",
    statement_id="(SELECT id FROM statements WHERE digest = {})",
    layout_id="(SELECT id FROM layouts WHERE digest = {})",
)
_ADD_LOOKS = bulk_insert("looks", ["symbol", "at"])
_CONFIRM = BulkStatement(
    3,
    "UPDATE snapshots SET reconfirmed_at = column3 FROM",
    "WHERE snapshots.symbol = column1 AND snapshots.observed_at = column2",
)
_KEPT_COLUMNS = f"""
    observed_at, confirmed_at, profiles.digest, statements.digest, layouts.keys, extra, {", ".join(_DAILY)}
"""
_KEPT_PARTS = """
      JOIN profiles ON profiles.id = profile_id
      JOIN statements ON statements.id = statement_id
      JOIN layouts ON layouts.id = layout_id
"""
_NEWEST = f"""
    SELECT wanted.value, EXISTS (SELECT 1 FROM uncovered WHERE uncovered.symbol = wanted.value), {_KEPT_COLUMNS}
      FROM json_each(?) AS wanted
      LEFT JOIN snapshots ON snapshots.symbol = wanted.value AND snapshots.observed_at = (
               SELECT newest.observed_at FROM snapshots AS newest
                WHERE newest.symbol = wanted.value ORDER BY newest.observed_at DESC LIMIT 1)
      LEFT JOIN profiles ON profiles.id = profile_id
      LEFT JOIN statements ON statements.id = statement_id
      LEFT JOIN layouts ON layouts.id = layout_id
"""
_STRETCH = f"""
    SELECT {_KEPT_COLUMNS} FROM snapshots {_KEPT_PARTS}
     WHERE snapshots.symbol = :symbol
       AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = :symbol AND observed_at <= :first
                                     ORDER BY observed_at DESC LIMIT 1), :first)
       AND observed_at <= coalesce((SELECT observed_at FROM snapshots WHERE symbol = :symbol AND observed_at > :last
                                     ORDER BY observed_at LIMIT 1), :last)
     ORDER BY observed_at
"""
"""The snapshots that looks from `first` to `last` can touch: those they fall into or between, and the next."""


def look(overview: Overview, at: datetime) -> Look:
    parts = split_document(overview)
    return Look(overview.symbol, instants.to_text(at), parts, version_of(parts))


async def settle(db: Connection, looks: Sequence[Look]) -> list[Outcome]:
    """Put looks among those already kept, so that the record is the one it would be had they all come in order.

    Nearly always they come after all that is kept of their symbol. The wall clock may have been set back, though, and
    recordings are imported in whatever order.
    """
    known = await _known(db, {look.symbol for look in looks})
    outcomes: list[Outcome] = [Outcome.REJECTED] * len(looks)
    by_symbol: dict[Symbol, list[int]] = {}
    for number, look in enumerate(looks):
        by_symbol.setdefault(look.symbol, []).append(number)
    plan = _Plan()
    for symbol, numbers in by_symbol.items():
        newest = known[symbol].newest
        is_timely = newest is None or min(looks[number].at for number in numbers) > newest.confirmed_at
        new = [(looks[number].at, looks[number].version) for number in numbers]
        kept = [newest] if newest is not None else []
        if not is_timely:
            kept = await _stretch(db, symbol, min(at for at, _ in new), max(at for at, _ in new))
        merged = merge(kept, new, same_document)
        for number, outcome in zip(numbers, merged.outcomes, strict=True):
            outcomes[number] = outcome
        _write_down(plan, symbol, merged)
        _write_parts(plan, kept, merged, [looks[number] for number in numbers])
        if known[symbol].was_uncovered or not is_timely:
            plan.restate.append(symbol)
        else:
            plan.covered.append(_covered(symbol, new, merged))
    await _write(db, plan)
    return outcomes


async def _known(db: Connection, symbols: Iterable[Symbol]) -> dict[str, _Known]:
    rows = await db.execute_fetchall(_NEWEST, (json.dumps(list(symbols)),))
    return {symbol: _Known(_newest(row), bool(uncovered)) for symbol, uncovered, *row in rows}


def _newest(row: Sequence[Any]) -> Interval[Version] | None:
    """Return the newest interval. Of its looks only the last: those that come after it need no more."""
    observed_at, confirmed_at, *_ = row
    if observed_at is None:
        return None
    return Interval(_version(row), observed_at, (confirmed_at,) if confirmed_at > observed_at else ())


def _version(row: Sequence[Any]) -> Version:
    _, _, profile, statement, keys, extra, *daily = row
    return Version(profile, statement, tuple(daily), _keys_of(keys), extra)


async def _stretch(db: Connection, symbol: Symbol, first: str, last: str) -> list[Interval[Version]]:
    """Return the intervals that looks from `first` to `last` can touch, with all their looks."""
    rows = list(await db.execute_fetchall(_STRETCH, {"symbol": symbol, "first": first, "last": last}))
    if not rows:
        return []
    query = "SELECT at FROM looks WHERE symbol = ? AND at BETWEEN ? AND ? ORDER BY at"
    looks = [at for (at,) in await db.execute_fetchall(query, (symbol, rows[0][0], rows[-1][1]))]
    return [
        Interval(_version(row), row[0], tuple(looks[bisect_left(looks, row[0]) : bisect_right(looks, row[1])]))
        for row in rows
    ]


def _write_down(plan: _Plan, symbol: Symbol, merged: Merged[Version]) -> None:
    plan.remove_snapshots += [(symbol, at) for at in merged.removed]
    plan.remove_looks += [(symbol, at) for at in merged.removed_observations]
    plan.looks += [(symbol, at) for at in merged.added_observations]
    plan.confirm += [(symbol, one.observed_at, _reconfirmed(one)) for one in merged.confirmed]
    plan.snapshots += [_row(symbol, interval) for interval in merged.added]


def _write_parts(
    plan: _Plan, kept: Sequence[Interval[Version]], merged: Merged[Version], looks: Sequence[Look]
) -> None:
    """Add the parts that new snapshots begin to use. Most share theirs with the one before."""
    begun = {interval.observed_at for interval in merged.added}
    profiles = {interval.version.profile for interval in kept}
    statements = {interval.version.statement for interval in kept}
    for look in looks:
        if look.at in begun:
            seen, parts = look.version, look.parts
            if seen.profile not in profiles:
                plan.profiles[seen.profile] = parts.profile
            if seen.statement not in statements:
                plan.statements[seen.statement] = parts.reported
            plan.layouts[_layout(parts.layout)] = _keys(parts.layout)


def _row(symbol: Symbol, interval: Interval[Version]) -> tuple[Any, ...]:
    made = interval.version
    return (
        symbol, interval.observed_at, _reconfirmed(interval),
        made.profile, made.statement, _layout(made.layout), *made.daily, made.extra,
    )  # fmt: skip


def _reconfirmed(interval: Interval[Version]) -> str | None:
    """Return when the version was last confirmed, None if nothing did since it was first seen."""
    return interval.confirmed_at if interval.confirmations else None


def _covered(symbol: Symbol, new: Sequence[tuple[str, Version]], merged: Merged[Version]) -> tuple[Any, ...]:
    """Return what looks that come after all others tell of their symbol."""
    instant = [at for at, _ in new]
    last = max(instant)
    outcome = merged.outcomes[instant.index(last)].value
    return symbol, min(instant), last, last, outcome, len(merged.added), "covered"


async def _write(db: Connection, plan: _Plan) -> None:
    for table, column, rows in (
        ("snapshots", "observed_at", plan.remove_snapshots),
        ("looks", "at", plan.remove_looks),
    ):
        if rows:
            await db.executemany(f"DELETE FROM {table} WHERE symbol = ? AND {column} = ?", rows)
    await _ADD_PROFILES.write(db, [(key, *values) for key, values in plan.profiles.items()])
    await _ADD_STATEMENTS.write(db, [(key, *values) for key, values in plan.statements.items()])
    await _ADD_LAYOUTS.write(db, list(plan.layouts.items()))
    await _ADD_SNAPSHOTS.write(db, sorted(plan.snapshots, key=_place))
    await _ADD_LOOKS.write(db, plan.looks)
    await _CONFIRM.write(db, plan.confirm)
    await COVERED.write(db, plan.covered)
    if plan.restate:
        await db.execute(RESTATE, {"symbols": json.dumps(plan.restate), "noted_at": ""})


@lru_cache(maxsize=64)
def _layout(keys: tuple[str, ...]) -> bytes:
    """Return the digest of a layout, of which there are a dozen in all."""
    return digest(keys)


@lru_cache(maxsize=64)
def _keys_of(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=64)
def _keys(keys: tuple[str, ...]) -> str:
    return json.dumps(keys, ensure_ascii=False)


def _place(row: Sequence[Any]) -> tuple[str, str]:
    """Return where a snapshot lies in its table: pages that are filled in order are filled better."""
    return row[0], row[1]

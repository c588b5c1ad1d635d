"""The store: what every look at a symbol found, kept so that any past day can be asked for.

A snapshot is a version of a document with the interval in which we know it to have held; a look that finds the version
unchanged moves the end of that interval. All of it is written through the writer, many looks a transaction.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.intervals import Interval, Merged, merge
from pipeline.outcome import Outcome, RunId, RunStatus, Trigger
from pipeline.overview import (
    DAILY_FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    Overview,
    Parts,
    Symbol,
    Version,
    digest,
    equal,
    shred,
    version,
)
from pipeline.writer import Answered, Rows, Writer, inserting

DEFERRED_AT_ONCE = 10_000
"""Rows made at a time, so that a list of a hundred thousand does not lie in memory twice."""


DIED = "the process ended without finishing it"


@dataclass(frozen=True, slots=True)
class Ended:
    """How asking for one symbol ended in a run, when, and after how many requests."""

    run: RunId
    symbol: Symbol
    outcome: Outcome
    attempts: int
    at: datetime
    detail: str | None = None


class _Look(NamedTuple):
    """One overview, ready to be written."""

    symbol: Symbol
    at: str
    parts: Parts
    version: Version


class Observation(NamedTuple):
    """What one look at a symbol found, ready to be written: a document, or that the API does not cover it (None)."""

    symbol: Symbol
    at: str
    look: _Look | None

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
    return Observation(symbol, instants.to_text(at), None if overview is None else _look(overview, at))


class _Answer(NamedTuple):
    """A look that a run took."""

    run: RunId
    attempts: int
    look: _Look


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


@dataclass(frozen=True, slots=True)
class Tally:
    """How a run ended, in numbers."""

    status: RunStatus
    counts: Mapping[Outcome, int]
    requests: int
    seconds: float
    detail: str | None
    symbols: int | None = None
    """How many symbols it was about, where that was not known when it began."""


# SQL. The columns are the field catalogue's, which is a constant: no name in these texts comes from outside.


_ONCE = "ON CONFLICT (digest) DO NOTHING"
_DAILY = [f.column for f in DAILY_FIELDS]
_ADD_PROFILES = inserting("profiles", ["digest", *(f.column for f in PROFILE_FIELDS)], _ONCE)
_ADD_STATEMENTS = inserting("statements", ["digest", *(f.column for f in REPORTED_FIELDS)], _ONCE)
_ADD_LAYOUTS = inserting("layouts", ["digest", "keys"], _ONCE)
_ADD_SNAPSHOTS = inserting(
    "snapshots",
    ["symbol", "observed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", *_DAILY, "extra"],
    profile_id="(SELECT id FROM profiles WHERE digest = {})",
    statement_id="(SELECT id FROM statements WHERE digest = {})",
    layout_id="(SELECT id FROM layouts WHERE digest = {})",
)
_ADD_LOOKS = inserting("looks", ["symbol", "at"])
_ADD_UNCOVERED = inserting("uncovered", ["symbol", "at"], "ON CONFLICT DO NOTHING")
_CONFIRM = Rows(
    3,
    "UPDATE snapshots SET reconfirmed_at = column3 FROM",
    "WHERE snapshots.symbol = column1 AND snapshots.observed_at = column2",
)
_ADD_OUTCOMES = inserting("outcomes", ["symbol", "run_id", "outcome", "attempts", "at", "detail"])
_COVERED = inserting(
    "symbols",
    ["symbol", "since", "last_look", "last_try", "last_outcome", "snapshots", "state"],
    """ON CONFLICT (symbol) DO UPDATE SET
        since = iif(state IS 'covered', since, excluded.since),
        state = 'covered', next_try = NULL, last_look = excluded.last_look,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = snapshots + excluded.snapshots
     WHERE excluded.last_look >= coalesce(last_look, '')""",
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
_RESTATE = """
    WITH credible AS (
        SELECT max(:noted_at, coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day')
                                          FROM runs ORDER BY id DESC LIMIT 1), '9999')) AS until
    ), looked AS (
        SELECT value AS symbol,
               coalesce(
                   nullif(max(
                       coalesce((SELECT max(observed_at) FROM snapshots
                                  WHERE symbol = value AND observed_at <= credible.until), ''),
                       coalesce((SELECT max(at) FROM looks WHERE symbol = value AND at <= credible.until), '')), ''),
                   (SELECT confirmed_at FROM snapshots WHERE symbol = value ORDER BY observed_at DESC LIMIT 1)) AS seen,
               (SELECT max(at) FROM uncovered WHERE symbol = value AND at <= credible.until) AS gone
          FROM json_each(:symbols), credible
    ), stated AS (
        SELECT symbol, seen, gone, iif(gone IS NULL OR seen >= gone, 'covered', 'unknown') AS state,
               (SELECT count(*) FROM uncovered AS u
                 WHERE u.symbol = looked.symbol AND at > coalesce(seen, '') AND at <= gone) AS times
          FROM looked
    )
    INSERT INTO symbols (symbol, state, since, last_look, next_try, last_try, last_outcome, snapshots)
    SELECT symbol, state,
           iif(state = 'unknown',
               (SELECT min(at) FROM uncovered AS u WHERE u.symbol = stated.symbol AND at > coalesce(seen, '')),
               min(coalesce((SELECT min(at) FROM looks WHERE looks.symbol = stated.symbol AND at > coalesce(gone, '')),
                            seen),
                   coalesce((SELECT min(observed_at) FROM snapshots AS s
                              WHERE s.symbol = stated.symbol AND observed_at > coalesce(gone, '')), seen))),
           iif(state = 'unknown', gone, seen),
           iif(state = 'unknown',
               strftime('%Y-%m-%dT%H:%M:%fZ', gone, min(1 << min(times - 1, 5), 30) || ' days'), NULL),
           iif(state = 'unknown', gone, seen),
           CASE WHEN state = 'unknown' THEN 'unknown'
                WHEN EXISTS (SELECT 1 FROM snapshots AS s WHERE s.symbol = stated.symbol AND observed_at = seen)
                THEN 'stored' ELSE 'unchanged' END,
           (SELECT count(*) FROM snapshots AS s WHERE s.symbol = stated.symbol)
      FROM stated
     WHERE true
    ON CONFLICT (symbol) DO UPDATE SET
        state = excluded.state, since = excluded.since, last_look = excluded.last_look, next_try = excluded.next_try,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = excluded.snapshots
"""
"""What is known of a symbol, from its looks alone.

One that was found uncovered is asked again after 1 day, then 2, 4, ... 30, while it stays so. What was noted by a clock
a day and more ahead of the last run's hides nothing; what a run notes now, it may have begun days ago, counts.
"""
_TRIED = """
    INSERT INTO symbols (symbol, last_try, last_outcome) VALUES (:symbol, :at, :outcome)
    ON CONFLICT (symbol) DO UPDATE SET last_try = excluded.last_try, last_outcome = excluded.last_outcome
"""


class Store:
    """Keeps what runs find."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(
        self,
        trigger: Trigger,
        *,
        at: datetime,
        symbols: int,
        due: int,
        schedule: str | None = None,
        scheduled_for: datetime | None = None,
    ) -> RunId:
        """Return the id of a new run, once it is written. Runs that never ended are marked as interrupted."""
        fire_time = None if scheduled_for is None else instants.to_text(scheduled_for)
        begun = (trigger, instants.to_text(at), symbols, due, schedule, fire_time)
        run: RunId = await self._writer.write(_begin, begun)
        return run

    async def answers(self) -> None:
        """Return once the file has taken a transaction, in which nothing was written."""
        await self._writer.write(_nothing, None)

    async def keep(self, run: RunId, overview: Overview, *, at: datetime, attempts: int) -> Outcome:
        """Return whether the overview was new, once it is durable: stored, or unchanged."""
        outcome: Outcome = await self._writer.write(_keep, _Answer(run, attempts, _look(overview, at)))
        return outcome

    def hand_over(self, run: RunId, overview: Overview, *, at: datetime, attempts: int, answered: Answered) -> None:
        """Keep the overview, without waiting: `answered` hears the outcome once it is durable, or the error."""
        self._writer.post(_keep, _Answer(run, attempts, _look(overview, at)), answered)

    async def add(self, observations: Sequence[Observation]) -> list[Outcome]:
        """Return what became of each observation, made whenever, once all are durable, in one transaction.

        The record is the one it would be had they come in order. Of two documents for one instant the first stays, and
        the other is rejected.
        """
        outcomes: list[Outcome] = await self._writer.write(_add_all, observations)
        return outcomes

    async def note(self, ended: Ended) -> None:
        """Write how asking for a symbol ended without an overview."""
        await self._writer.write(_note, ended)

    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int:
        """Write that these symbols were not asked, and return how many they were."""
        count: int = await self._writer.write(_defer, (run, tuple(symbols), instants.to_text(at), detail))
        return count

    async def finish(self, run: RunId, tally: Tally, *, at: datetime) -> None:
        """Write how the run ended."""
        await self._writer.write(_finish, (run, tally, instants.to_text(at)))


def _look(overview: Overview, at: datetime) -> _Look:
    parts = shred(overview)
    return _Look(overview.symbol, instants.to_text(at), parts, version(parts))


async def cut_off(db: Connection, status: RunStatus, detail: str, *, at: str) -> None:
    """Give the runs that still count as under way, and are not, a status, and the counts of what came of them."""
    counts = ", ".join(
        f"{outcome} = (SELECT count(*) FROM outcomes WHERE run_id = runs.id AND outcome = '{outcome}')"
        for outcome in Outcome
    )
    await db.execute(
        f"UPDATE runs SET status = ?, finished_at = ?, detail = ?, {counts},"
        " requests = (SELECT count(*) FROM requests WHERE run_id = runs.id AND outcome IS NOT 'unsent')"
        f" WHERE status = '{RunStatus.RUNNING}'",
        (status, at, detail),
    )


async def _nothing(_db: Connection, asked: Sequence[None]) -> Sequence[None]:
    return asked


async def _begin(
    db: Connection, runs: Sequence[tuple[Trigger, str, int, int, str | None, str | None]]
) -> Sequence[RunId]:
    ids = []
    for trigger, at, symbols, due, schedule, scheduled_for in runs:
        # We hold the lock, so whoever began these has died.
        await cut_off(db, RunStatus.INTERRUPTED, DIED, at=at)
        # Written while the clock was ahead: such a look would seem fresh, and hide what is seen now, until then.
        await db.execute(
            "UPDATE symbols SET last_look = NULL, last_try = NULL, next_try = NULL WHERE last_look > ? OR last_try > ?",
            (at, at),
        )
        cursor = await db.execute(
            "INSERT INTO runs (trigger, started_at, status, symbols, due, schedule, scheduled_for)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (trigger, at, RunStatus.RUNNING, symbols, due, schedule, scheduled_for),
        )
        ids.append(RunId(cursor.lastrowid or 0))
    return ids


async def _finish(db: Connection, ends: Sequence[tuple[RunId, Tally, str]]) -> Sequence[None]:
    for run, tally, at in ends:
        counts = {outcome.value: tally.counts.get(outcome, 0) for outcome in Outcome}
        await db.execute(
            """
            UPDATE runs SET finished_at = :at, status = :status, stored = :stored, unchanged = :unchanged,
                   unknown = :unknown, failed = :failed, rejected = :rejected, deferred = :deferred,
                   requests = :requests, seconds = :seconds, detail = :detail, symbols = coalesce(:symbols, symbols)
             WHERE id = :run
            """,
            {
                "run": run,
                "at": at,
                "status": tally.status,
                "requests": tally.requests,
                "seconds": round(tally.seconds, 3),
                "detail": tally.detail,
                "symbols": tally.symbols,
                **counts,
            },
        )
    return [None] * len(ends)


async def _note(db: Connection, ends: Sequence[Ended]) -> Sequence[None]:
    gone = [(e.symbol, instants.to_text(e.at)) for e in ends if e.outcome is Outcome.UNKNOWN]
    await _uncover(db, gone, noted_at=max((at for _, at in gone), default=""))
    for ended in ends:
        if ended.attempts and ended.outcome is not Outcome.UNKNOWN:
            row = {"symbol": ended.symbol, "at": instants.to_text(ended.at), "outcome": ended.outcome}
            await db.execute(_TRIED, row)
    await _ADD_OUTCOMES.write(
        db, [(e.symbol, e.run, e.outcome.value, e.attempts, instants.to_text(e.at), e.detail) for e in ends]
    )
    return [None] * len(ends)


async def _uncover(db: Connection, found: Sequence[tuple[Symbol, str]], *, noted_at: str = "") -> None:
    """Note the looks that found a symbol not covered."""
    if found:
        await _ADD_UNCOVERED.write(db, found)
        symbols = json.dumps(sorted({symbol for symbol, _ in found}))
        await db.execute(_RESTATE, {"symbols": symbols, "noted_at": noted_at})


async def _defer(db: Connection, deferred: Sequence[tuple[RunId, tuple[Symbol, ...], str, str]]) -> Sequence[int]:
    for run, symbols, at, detail in deferred:
        for start in range(0, len(symbols), DEFERRED_AT_ONCE):
            some = symbols[start : start + DEFERRED_AT_ONCE]
            rows = [(symbol, run, Outcome.DEFERRED.value, 0, at, detail) for symbol in some]
            await _ADD_OUTCOMES.write(db, rows)
    return [len(symbols) for _, symbols, _, _ in deferred]


# Looks


async def _keep(db: Connection, answers: Sequence[_Answer]) -> Sequence[Outcome]:
    """Write a turn's answers, and how each symbol ended in its run."""
    outcomes = await _settle(db, [answer.look for answer in answers])
    ends = zip(answers, outcomes, strict=True)
    await _ADD_OUTCOMES.write(
        db, [(one.look.symbol, one.run, end.value, one.attempts, one.look.at, None) for one, end in ends]
    )
    return outcomes


async def _add_all(db: Connection, chunks: Sequence[Sequence[Observation]]) -> Sequence[list[Outcome]]:
    results = []
    for chunk in chunks:
        kept = iter(await _settle(db, [one.look for one in chunk if one.look is not None]))
        await _uncover(db, [(one.symbol, one.at) for one in chunk if one.look is None])
        results.append([Outcome.UNKNOWN if one.look is None else next(kept) for one in chunk])
    return results


async def _settle(db: Connection, looks: Sequence[_Look]) -> list[Outcome]:
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
        merged = merge(kept, new, equal)
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
    plan.remove_looks += [(symbol, at) for at in merged.removed_looks]
    plan.looks += [(symbol, at) for at in merged.added_looks]
    plan.confirm += [(symbol, one.observed_at, _reconfirmed(one)) for one in merged.confirmed]
    plan.snapshots += [_row(symbol, interval) for interval in merged.added]


def _write_parts(
    plan: _Plan, kept: Sequence[Interval[Version]], merged: Merged[Version], looks: Sequence[_Look]
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
    return interval.confirmed_at if interval.looks else None


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
    await _COVERED.write(db, plan.covered)
    if plan.restate:
        await db.execute(_RESTATE, {"symbols": json.dumps(plan.restate), "noted_at": ""})


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

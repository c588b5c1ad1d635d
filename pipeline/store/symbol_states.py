"""Symbol states: writes what is known of each symbol: covered or not, last observed when, to be tried again when."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol
from pipeline.store.reader import SymbolState
from pipeline.store.writer import bulk_insert

MAX_BACKOFF_DAYS = 30
"""A symbol that is not covered is tried again after 1 day, then 2, 4, 8, 16, and then every 30 (`scheduled_days`)."""
DAYS_UNTIL_BACKOFF = 7
"""A symbol that has snapshots stays due for so long first: the API has answered `{}` for whole exchanges."""


class NewObservations(NamedTuple):
    """What one transaction adds to a covered symbol: observations that are all newer than those stored before."""

    symbol: Symbol
    first: str
    last: str
    outcome: Outcome
    """Of the last one."""
    snapshots: int
    """How many of them began a new snapshot."""


_EXTEND = bulk_insert(
    "symbols",
    ["symbol", "since", "last_look", "last_overview", "last_try", "last_outcome", "snapshots", "state"],
    """ON CONFLICT (symbol) DO UPDATE SET
        since = iif(state IS 'covered', since, excluded.since),
        state = 'covered', next_try = NULL, last_look = excluded.last_look, last_overview = excluded.last_overview,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = snapshots + excluded.snapshots
     WHERE excluded.last_look >= coalesce(last_look, '')""",
)


async def extend_states(db: Connection, added: Iterable[NewObservations]) -> None:
    """Bring the states of covered symbols up to date with newer observations: what nearly every write does."""
    rows = [
        (one.symbol, one.first, one.last, one.last, one.last, one.outcome.value, one.snapshots, "covered")
        for one in added
    ]
    await _EXTEND.write(db, rows)


_ON_ATTEMPT = "ON CONFLICT (symbol) DO UPDATE SET last_try = excluded.last_try, last_outcome = excluded.last_outcome"
_ATTEMPT = bulk_insert("symbols", ["symbol", "last_try", "last_outcome"], _ON_ATTEMPT)
_LATE_ATTEMPT = bulk_insert(
    "symbols",
    ["symbol", "last_try", "last_outcome"],
    f"{_ON_ATTEMPT} WHERE excluded.last_try > coalesce(last_try, '')",
)


async def note_attempts(db: Connection, attempts: Sequence[tuple[Symbol, str, Outcome]]) -> None:
    """Write attempts that brought no observation: each a symbol, when it was requested, and the outcome."""
    await _ATTEMPT.write(db, [(symbol, at, outcome.value) for symbol, at, outcome in attempts])


async def note_late_attempts(db: Connection, attempts: Sequence[tuple[str, str, str]]) -> None:
    """Write attempts that brought no observation, in any order: of a symbol the last stays, or an observation."""
    await _LATE_ATTEMPT.write(db, attempts)


_ADD_UNCOVERED = bulk_insert("uncovered", ["symbol", "at"], "ON CONFLICT DO NOTHING")


async def store_uncovered(db: Connection, found: Sequence[tuple[Symbol, str]], *, noted_at: str = "") -> None:
    """Store observations, each a symbol and an instant, that the API does not cover a symbol.

    `noted_at`: an instant up to which they are credible although it is days after the run began.
    """
    if found:
        await _ADD_UNCOVERED.write(db, found)
        await derive_states(db, {symbol for symbol, _ in found}, noted_at=noted_at)


class Evidence(NamedTuple):
    """What the file holds of one symbol's observations."""

    symbol: str
    seen: str | None
    """When its overview was last observed."""
    gone: str | None
    """When the API last said that it does not cover the symbol."""
    first_seen: str | None
    """The first observation of an overview after `gone`."""
    first_gone: str | None
    """The first time after `seen` that it was not covered."""
    times_gone: int
    """How often that was observed up to `gone`; if there is an overview, only from a week after `first_gone` on."""
    is_new: bool
    """Whether the overview observed at `seen` began a new snapshot."""
    snapshots: int


_EVIDENCE = """
    -- Observations after this instant come from a clock that was ahead, and must not hide what is observed now.
    WITH credible AS (
        SELECT max(:noted_at,
                   coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day')
                               FROM runs ORDER BY id DESC LIMIT 1), '9999')) AS until
    ),
    -- The last credible observation of an overview: the beginning of a snapshot, or a confirmation (`looks`).
    -- If there is none, the newest, credible or not.
    last_seen AS (
        SELECT value AS symbol,
               coalesce(
                   nullif(max(
                       coalesce((SELECT max(observed_at) FROM snapshots
                                  WHERE symbol = value AND observed_at <= credible.until), ''),
                       coalesce((SELECT max(at) FROM looks WHERE symbol = value AND at <= credible.until), '')), ''),
                   (SELECT confirmed_at FROM snapshots WHERE symbol = value ORDER BY observed_at DESC LIMIT 1)) AS seen,
               (SELECT max(at) FROM uncovered WHERE symbol = value AND at <= credible.until) AS gone
          FROM json_each(:symbols), credible
    ),
    first_gone AS (
        SELECT symbol,
               (SELECT min(at) FROM uncovered AS u
                 WHERE u.symbol = last_seen.symbol AND at > coalesce(seen, '')) AS at
          FROM last_seen
    )
    -- Each subquery is a seek in a primary key, but for the two that count.
    SELECT symbol, seen, gone,
           min(coalesce((SELECT min(at) FROM looks AS l
                          WHERE l.symbol = last_seen.symbol AND at > coalesce(gone, '')), seen),
               coalesce((SELECT min(observed_at) FROM snapshots AS s
                          WHERE s.symbol = last_seen.symbol AND observed_at > coalesce(gone, '')), seen)),
           first_gone.at,
           (SELECT count(*) FROM uncovered AS u
             WHERE u.symbol = last_seen.symbol AND u.at <= gone
               AND u.at >= iif(seen IS NULL, '', strftime('%Y-%m-%dT%H:%M:%fZ', first_gone.at, :until_backoff))),
           EXISTS (SELECT 1 FROM snapshots AS s WHERE s.symbol = last_seen.symbol AND observed_at = seen),
           (SELECT count(*) FROM snapshots AS s WHERE s.symbol = last_seen.symbol)
      FROM last_seen JOIN first_gone USING (symbol)
"""
_WRITE_STATES = bulk_insert(
    "symbols",
    SymbolState.__slots__,
    """ON CONFLICT (symbol) DO UPDATE SET
        state = excluded.state, since = excluded.since, last_look = excluded.last_look,
        last_overview = excluded.last_overview, next_try = excluded.next_try,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = excluded.snapshots""",
)


async def derive_states(db: Connection, symbols: Iterable[str], *, noted_at: str = "") -> None:
    """Write the states of symbols as all their observations, in whatever order they were stored, make them.

    A later attempt without an observation stays the last attempt.
    """
    rows = await db.execute_fetchall(_EVIDENCE, _wanted(symbols, noted_at))
    states = [derive_state(Evidence(*row)) for row in rows]
    await _WRITE_STATES.write(db, [[getattr(state, name) for name in SymbolState.__slots__] for state in states])


def derived_state(db: sqlite3.Connection, symbol: str) -> SymbolState:
    """Return the state that all observations of a symbol make, credible or not. Raise Undecodable for damaged ones."""
    (row,) = db.execute(_EVIDENCE, _wanted([symbol], instants.LATEST))
    return derive_state(Evidence(*row))


def _wanted(symbols: Iterable[str], noted_at: str) -> dict[str, str]:
    until_backoff = f"+{instants.scheduled_days(DAYS_UNTIL_BACKOFF).total_seconds():.0f} seconds"
    return {"symbols": json.dumps(sorted(symbols)), "noted_at": noted_at, "until_backoff": until_backoff}


def derive_state(evidence: Evidence) -> SymbolState:
    """Return the state of a symbol: covered unless the API has said otherwise since the last overview.

    While it stays uncovered, the time to the next attempt doubles; a symbol that has an overview stays due for a week
    before that.
    """
    seen, gone = evidence.seen, evidence.gone
    if gone is None or (seen is not None and seen >= gone):
        state, since, last, next_try = "covered", evidence.first_seen, seen, None
        outcome = Outcome.STORED if evidence.is_new else Outcome.UNCHANGED
    else:
        state, since, last, next_try = "unknown", evidence.first_gone, gone, _next_try(gone, evidence.times_gone)
        outcome = Outcome.UNKNOWN
    return SymbolState(
        symbol=evidence.symbol,
        state=state,
        since=since,
        last_look=last,
        next_try=next_try,
        last_try=last,
        last_outcome=outcome.value,
        snapshots=evidence.snapshots,
        last_overview=seen,
    )


def _next_try(gone: str, times_gone: int) -> str | None:
    """Return when a symbol that is not covered is due again; None: as usual."""
    if times_gone == 0:
        return None
    days = min(2 ** min(times_gone - 1, 5), MAX_BACKOFF_DAYS)
    return instants.to_text(instants.from_text(gone) + instants.scheduled_days(days))


def misses_of(last_look: str | None, next_try: str | None) -> int:
    """Return how many `{}` delay the next attempt so long; at most as many as the longest delay takes."""
    if last_look is None or next_try is None:
        return 0
    return next((number for number in range(1, 6) if next_try <= (_next_try(last_look, number) or "")), 6)

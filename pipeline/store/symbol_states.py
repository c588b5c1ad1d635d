"""Symbol states: writes what is known of each symbol: covered or not, last observed when, to be tried again when."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiosqlite import Connection

from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol
from pipeline.store.derived_states import EVIDENCE, Evidence, derive_state, parameters
from pipeline.store.reader import SymbolState
from pipeline.store.writer import bulk_insert


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
    rows = await db.execute_fetchall(EVIDENCE, parameters(symbols, noted_at))
    states = [derive_state(Evidence(*row)) for row in rows]
    await _WRITE_STATES.write(db, [[getattr(state, name) for name in SymbolState.__slots__] for state in states])

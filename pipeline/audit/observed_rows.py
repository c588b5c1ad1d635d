"""Observed rows: compares the snapshots of each symbol with their checksums, and with confirmations and state."""

import re
import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline import instants
from pipeline.audit.damages import Damages
from pipeline.audit.part_digests import Part
from pipeline.errors import Undecodable
from pipeline.model.checksums import Summed, checksum, sum_of, sum_of_confirmations
from pipeline.model.fields import DAILY_FIELDS
from pipeline.model.outcomes import Outcome
from pipeline.store.derived_states import derived_state
from pipeline.store.reader import SymbolState

_NEXT = """
    SELECT min(symbol) FROM (
        SELECT min(symbol) AS symbol FROM symbols WHERE symbol > CAST(:after AS TEXT)
         UNION ALL SELECT min(symbol) FROM snapshots WHERE symbol > CAST(:after AS TEXT)
         UNION ALL SELECT min(symbol) FROM looks WHERE symbol > CAST(:after AS TEXT)
         UNION ALL SELECT min(symbol) FROM uncovered WHERE symbol > CAST(:after AS TEXT))
"""
_OF = "symbol = CAST(? AS TEXT)"
"""A symbol that is damaged may be no UTF-8, and is bound as its bytes."""
_STATE = f"SELECT {', '.join(SymbolState.__slots__)} FROM symbols WHERE {_OF}"
_PARTS = ("profiles", "statements", "layouts")
_CREDIBLE_UNTIL = """
    SELECT coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day') FROM runs ORDER BY id DESC LIMIT 1),
                    '9999')
"""
"""Observations after that are of a clock that was ahead, as far as states are concerned."""
_DERIVED = ("state", "since", "last_look", "last_overview", "next_try")
_AHEAD = timedelta(hours=12)
"""A newest observation that is so much later than the state's may come from a clock that was ahead."""
_OBSERVED = frozenset({Outcome.STORED, Outcome.UNCHANGED, Outcome.UNKNOWN})


def every_symbol(db: sqlite3.Connection) -> Iterator[str]:
    """Yield every symbol that any table of observations has."""
    after = ""
    while isinstance(symbol := db.execute(_NEXT, {"after": _raw(after)}).fetchone()[0], str):
        if _raw(symbol) <= _raw(after):
            return  # a damaged tree is not in order, and SQLite's own check has found that
        yield symbol
        after = symbol


def damaged_text(raw: bytes) -> str:
    """Return a text that may be damaged: with the bytes that are not UTF-8 in it, too."""
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Observations:
    """Compares what was observed of one symbol after another. Its connection reads text with `damaged_text`."""

    def __init__(self, db: sqlite3.Connection, damages: Damages) -> None:
        self._db = db
        self._damages = damages
        self._columns = tuple([field.column for field in DAILY_FIELDS])  # users may have added others
        self._snapshots = f"""
            SELECT observed_at, reconfirmed_at, profile_id, statement_id, layout_id,
                   p.digest, s.digest, l.digest, extra, checksum, {", ".join(self._columns)}
              FROM snapshots
              LEFT JOIN profiles AS p ON p.id = profile_id
              LEFT JOIN statements AS s ON s.id = statement_id
              LEFT JOIN layouts AS l ON l.id = layout_id
             WHERE {_OF} ORDER BY observed_at
        """
        (self._credible_until,) = db.execute(_CREDIBLE_UNTIL).fetchone()
        self.bad_parts: set[Part] = set()
        """Parts that differ from their digest."""
        self._bad_parts_of: dict[Part, str] = {}
        self.compared = 0
        """How many snapshots were compared."""
        self.unsummed = 0
        """How many of them have no checksum."""

    def check(self, symbol: str) -> int:
        """Compare what was observed of a symbol, and return the number of its snapshots."""
        db, of = self._db, (_raw(symbol),)
        db.execute("BEGIN")
        snapshots = db.execute(self._snapshots, of).fetchall()
        looks = [str(at) for (at,) in db.execute(f"SELECT at FROM looks WHERE {_OF} ORDER BY at", of)]
        uncovered = [str(at) for (at,) in db.execute(f"SELECT at FROM uncovered WHERE {_OF}", of)]
        state = db.execute(_STATE, of).fetchone()
        derived = _derived(db, symbol) if snapshots or uncovered else None
        db.execute("COMMIT")
        starts = [str(row[0]) for row in snapshots]
        for row, confirmations in zip(snapshots, self._confirmations(symbol, starts, looks), strict=True):
            self._check_snapshot(symbol, row, confirmations)
        for table, column in (("snapshots", starts), ("looks", looks), ("uncovered", uncovered)):
            for at in column:
                if not is_instant(at):
                    self._damages.add(table, "dated by no instant", f"{symbol} at {at}")
        if state is None:
            self._damages.add("symbols", "missing", symbol)
        else:
            self._check_state(SymbolState(*state), derived, [*starts, *looks, *uncovered], starts)
        self.compared += len(snapshots)
        return len(snapshots)

    def add_bad_parts(self) -> None:
        """Add the parts that differ from their digest, each with a symbol that has it, once all are checked."""
        for part in sorted(self.bad_parts):
            owner = self._bad_parts_of.get(part)
            key = f"id {part.id}" if owner is None else f"id {part.id} (of {owner})"
            self._damages.add(part.table, "with a wrong digest", key)

    def _confirmations(self, symbol: str, starts: Sequence[str], looks: Sequence[str]) -> list[list[str]]:
        """Return the observations that confirmed each snapshot."""
        found: list[list[str]] = [[] for _ in starts]
        for at in looks:
            place = bisect_right(starts, at) - 1
            if place < 0:
                self._damages.add("looks", "with no snapshot before", f"{symbol} at {at}")
            else:
                found[place].append(at)
        return found

    def _check_snapshot(self, symbol: str, row: Sequence[Any], confirmations: Sequence[str]) -> None:
        at, last, *ids, profile, statement, layout, extra, known = row[:10]
        key = f"{symbol} at {at}"
        for part in map(Part, _PARTS, ids) if self.bad_parts else ():
            if part in self.bad_parts:
                self._bad_parts_of.setdefault(part, symbol)
        if last != (confirmations[-1] if confirmations else None):
            self._damages.add("snapshots", "with a wrong last confirmation", key)
        if None in (profile, statement, layout):
            self._damages.add("snapshots", "with missing parts", key)
        elif known is None:
            self.unsummed += 1
        elif known != self._checksum(Summed(symbol, at, profile, statement, layout, row[10:], extra), confirmations):
            self._damages.add("snapshots", "with a wrong checksum", key)

    def _checksum(self, snapshot: Summed, confirmations: Sequence[str]) -> int | None:
        """Return the checksum of a snapshot; None if it is none that a snapshot can be."""
        try:
            return checksum(sum_of(snapshot, self._columns) + sum_of_confirmations(snapshot.symbol, confirmations))
        except (UnicodeEncodeError, TypeError):  # text that is not UTF-8; a type that no column has
            return None

    def _check_state(
        self, state: SymbolState, derived: SymbolState | None, observed: Collection[str], starts: Collection[str]
    ) -> None:
        """Compare what the table of symbols says."""
        newest = max(observed, default=None)
        is_ahead = newest is not None and newest > self._credible_until
        if state.last_look == newest and not is_ahead:
            compared = {name: getattr(state, name) != getattr(derived, name) for name in _DERIVED} if derived else {}
        else:
            is_observed = state.last_look is None or state.last_look in observed
            compared = {"last_look": not (is_observed and (is_ahead or _may_hide(state, newest)))}
        if newest is None:
            compared["state"] = state.state is not None
        has_observed = state.last_outcome in _OBSERVED
        compared |= {
            "snapshots": state.snapshots != len(starts),
            "last_try": not _may_be(state.last_try) or (has_observed and state.last_try not in (None, *observed)),
            "last_outcome": state.last_outcome is not None and state.last_outcome not in [*Outcome],
        }
        for column in (column for column, is_wrong in compared.items() if is_wrong):
            self._damages.add("symbols", f"whose {column} does not follow from what was observed", state.symbol)


def _may_hide(state: SymbolState, newest: str | None) -> bool:
    """Whether the newest observation may come from a clock that was ahead: it is left out of the state then."""
    if state.last_look is None:
        return True
    if newest is None or not (is_instant(state.last_look) and is_instant(newest)):
        return False
    return instants.from_text(newest) - instants.from_text(state.last_look) > _AHEAD


_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)


def is_instant(text: object) -> bool:
    """Whether something is an instant as the file has them."""
    if not isinstance(text, str) or _INSTANT.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _derived(db: sqlite3.Connection, symbol: str) -> SymbolState | None:
    """Return the state that the observations of a symbol make; None if they are damaged."""
    try:
        return derived_state(db, symbol)
    except (Undecodable, OverflowError):
        return None


def _may_be(text: object) -> bool:
    return text is None or is_instant(text)

"""Moves: how companies differ between two instants: whose market value moved, and what they restated. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pipeline.model.changes import relative_change
from pipeline.model.fields import COLUMNS, FISCAL_FIELDS, Field

VALUE = COLUMNS["market_capitalization"]
_QUARTER = COLUMNS["latest_quarter"]
FIELDS = (VALUE, _QUARTER, *FISCAL_FIELDS)
"""What the rows that are compared have: of `as_of`, with these fields."""
_SYMBOL, _OBSERVED_AT = 0, 1
_FIRST = 4
"""Where the fields begin."""
_MOST = 10


@dataclass(frozen=True, slots=True)
class Move:
    """A company whose market value moved."""

    symbol: str
    before: int
    after: int
    change: float


@dataclass(frozen=True, slots=True)
class Restated:
    """A value that a company reported for a quarter, and reports otherwise now."""

    symbol: str
    field: Field
    quarter: str
    before: Any
    after: Any
    change: float | None


@dataclass(frozen=True, slots=True)
class Moves:
    """What moved between two instants."""

    companies: int
    """How many were known at the later one."""
    added: int
    """How many of them were not known at the earlier one."""
    changed: int
    """Of how many anything changed."""
    largest: Sequence[Move]
    """The companies whose market value moved most."""
    restated: Sequence[Restated]
    """Some of the values that were restated."""
    restatements: int
    """How many were."""


def moves(earlier: Iterable[Sequence[Any]], later: Iterable[Sequence[Any]]) -> Moves:
    """Return what differs between rows of `as_of` at two instants."""
    before = {row[_SYMBOL]: row for row in earlier}
    rows = list(later)
    pairs = [(before[row[_SYMBOL]], row) for row in rows if row[_SYMBOL] in before]
    changed = [(was, now) for was, now in pairs if was[_OBSERVED_AT] != now[_OBSERVED_AT]]
    largest = sorted((one for was, now in changed if (one := _move(was, now))), key=_size, reverse=True)
    restated = [one for was, now in changed for one in _restated(was, now)]
    return Moves(len(rows), len(rows) - len(pairs), len(changed), largest[:_MOST], restated[:_MOST], len(restated))


def _move(was: Sequence[Any], now: Sequence[Any]) -> Move | None:
    before, after = was[_FIRST], now[_FIRST]
    change = relative_change(before, after)
    return Move(now[_SYMBOL], before, after, change) if change else None


def _size(move: Move) -> float:
    return abs(move.change)


def _restated(was: Sequence[Any], now: Sequence[Any]) -> list[Restated]:
    """Return the values that differ although they are of one quarter. A value that was missing is no restatement."""
    quarter = now[_FIRST + 1]
    if quarter is None or was[_FIRST + 1] != quarter:
        return []
    values = zip(FISCAL_FIELDS, was[_FIRST + 2 :], now[_FIRST + 2 :], strict=False)  # a symbol may follow them
    return [
        Restated(now[_SYMBOL], field, quarter, before, after, relative_change(before, after))
        for field, before, after in values
        if before is not None and after is not None and before != after
    ]


def symbols_of(found: Moves) -> Mapping[str, None]:
    """Return the companies that are named."""
    return dict.fromkeys(map(attrgetter("symbol"), [*found.largest, *found.restated]))

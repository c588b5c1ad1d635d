"""Listings: companies filtered, sorted and cut into pages. Pure.

A page begins after a company, not after a number of them: so all pages together stay complete and without duplicates
while companies come and go.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

PAGE = 100
"""Companies on a page."""
Row = tuple[Any, ...]
"""A company: its symbol first."""


class Key(NamedTuple):
    """A company, by its symbol and its value in the column that the listing is sorted by. A page begins or ends there.

    The value is part of it: the company may have another one by the time the next page is asked for.
    """

    symbol: str
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    """What a listing is sorted by: a column of its rows. Rows without a value come last, whatever the direction."""

    column: int
    is_descending: bool = False

    def sorted(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows in this order; those with one value by symbol."""
        by_symbol = sorted(rows, key=lambda row: str(row[0]))
        column = self.column
        present = [row for row in by_symbol if row[column] is not None]
        present.sort(key=lambda row: _comparable(row[column]), reverse=self.is_descending)
        return present + [row for row in by_symbol if row[column] is None]

    def key(self, row: Row) -> Key:
        """Return the key of a row."""
        return Key(row[0], row[self.column])

    def is_after(self, one: Key, other: Key) -> bool:
        """Whether a company comes after another in this order."""
        if one.value is None or other.value is None:
            return one.symbol > other.symbol if one.value is other.value else one.value is None
        value, other_value = _comparable(one.value), _comparable(other.value)
        if value == other_value:
            return one.symbol > other.symbol
        return bool(value < other_value if self.is_descending else value > other_value)


class Page(NamedTuple):
    """Some rows of a listing, in order."""

    rows: Sequence[Row]
    before: Key | None
    """The page before ends before this company; None: there is none."""
    after: Key | None
    """The page after begins after this company; None: there is none."""


def page_of(rows: Sequence[Row], order: Order, *, after: Key | None, before: Key | None, size: int = PAGE) -> Page:
    """Return the page of sorted rows that begins after a company, or ends before one; the first one without either."""
    if before is not None:
        end = bisect_left(rows, 1, key=lambda row: int(not order.is_after(before, order.key(row))))
        start = max(end - size, 0)
    else:
        start = 0 if after is None else bisect_left(rows, 1, key=lambda row: int(order.is_after(order.key(row), after)))
        end = min(start + size, len(rows))
    some = rows[start:end]
    return Page(
        some,
        order.key(some[0]) if some and start > 0 else None,
        order.key(some[-1]) if some and end < len(rows) else None,
    )


def matches(text: str, *fields: str | None) -> bool:
    """Whether any field contains a text, in any case."""
    wanted = text.casefold()
    return any(field is not None and wanted in field.casefold() for field in fields)


def counts(values: Iterable[str | None]) -> list[tuple[str, int]]:
    """Return each value with how often it is there, by value; missing ones are not counted."""
    return sorted(Counter(value for value in values if value is not None).items())


def _comparable(value: Any) -> Any:
    """Return what a value is sorted by: a text without regard to capitals."""
    return (value.casefold(), value) if isinstance(value, str) else value

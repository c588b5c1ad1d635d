"""Panel: what was known of each company at each instant of a grid."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from pipeline import extras
from pipeline.instants import in_milliseconds, to_text
from pipeline.model.fields import Field, Kind, find_field
from pipeline.model.universe import Universe
from pipeline.model.values import Value
from pipeline.query.grid import Every, grid
from pipeline.query.known import Known, earlier, milliseconds
from pipeline.query.results import Answer, Column, Rows
from pipeline.text import quoted

_CELLS_AT_ONCE = 200_000
"""Companies times instants that are read at once: about 100 MB of Python's objects."""
AT, SYMBOL = Column("at", Kind.INSTANT), Column("symbol", Kind.TEXT)


class PanelRow(msgspec.Struct, frozen=True, gc=False):
    """What was known of a company at an instant of a panel."""

    at: datetime
    symbol: str
    """The company's newest symbol."""
    values: Mapping[str, Value | date]
    """By column; None also where nothing was known, or it was too stale."""
    observed_at: datetime | None
    """When the snapshot was first seen; None where nothing was known, or it was too stale."""
    staleness: timedelta | None
    """How long before the instant, less the lag, it was last seen; None where `observed_at` is."""
    observed_symbol: str | None = None
    """The symbol that the company had then, where the database knows of a rename; else None."""

    def __getitem__(self, field: str) -> Value | date:
        """Return the value of a field. Raise FieldNotFound, or KeyError for one that was not requested."""
        return self.values[find_field(field).column]


@dataclass(frozen=True, slots=True)
class Panel:
    """Which cells a panel has, by companies and instants in order, and what counts in them."""

    companies: Sequence[str]
    instants: Sequence[datetime]
    lag: timedelta
    """How much earlier than its instant a cell is answered."""
    longest: int | None
    """Milliseconds after which what was last seen is too stale to count; None: it never is."""
    universe: Universe | None = None
    """Where it is not None, the panel has only cells whose company was configured at the instant they are asked for."""

    def __len__(self) -> int:
        return len(self.companies) * len(self.instants)

    def blocks(self, cells: int) -> Iterator["Panel"]:
        """Yield the panel in parts of some cells, in order of their instants; of more where one instant has more."""
        size = max(1, cells // max(1, len(self.companies)))
        for begin in range(0, len(self.instants), size):
            yield replace(self, instants=self.instants[begin : begin + size])

    def answered_at(self, at: datetime) -> datetime:
        """Return the instant that cells of an instant are answered for."""
        return earlier(at, milliseconds(self.lag))


def grid_of(every: str, calendar: str | None, since: date | datetime, until: datetime) -> Iterable[datetime]:
    """Return the instants of a grid, with a calendar its closes. Raise ValueError for an unknown `every`."""
    try:
        step = Every(every)
    except ValueError:
        raise ValueError(f"unknown interval {quoted(every)}: use {', '.join(Every)}") from None
    if calendar is None:
        return grid(step, since, until)
    found: Iterable[datetime] = extras.calendars().closes(calendar, step, since, until)
    return found


def in_order(instants: Iterable[datetime]) -> list[datetime]:
    """Return instants in milliseconds, in order and without duplicates."""
    return sorted(set(map(in_milliseconds, instants)))


def panel(known: Known, cells: Panel) -> Answer[PanelRow]:
    """Return the answer that has a row for each cell. Raise ValueError for a negative lag."""
    if cells.lag < timedelta(0):
        raise ValueError(f"lag is negative ({cells.lag}): it would look ahead")
    return Answer(
        panel_columns(known),
        lambda: panel_rows(known, cells),
        _make_row(known.fields),
        tables=lambda: extras.panel_arrow().panel_tables(known, cells),
    )


def configured(universe: Universe | None, company: str, instants: Sequence[str]) -> list[bool]:
    """Return whether a company was in a universe at each of some instants, which ascend; always in none."""
    if universe is None:
        return [True] * len(instants)
    found = [False] * len(instants)
    for since, until in universe.times(company):
        begin, end = bisect_left(instants, since), bisect_left(instants, until)
        found[begin:end] = [True] * (end - begin)
    return found


def panel_columns(known: Known) -> tuple[Column, ...]:
    """Return the columns of a panel."""
    return (AT, SYMBOL, *known.columns)


def panel_rows(known: Known, panel: Panel) -> Rows:
    """Yield the rows of a panel, by instant and company."""
    for block in panel.blocks(_CELLS_AT_ONCE):
        asked = [panel.answered_at(at) for at in block.instants]
        texts = [to_text(at) for at in asked]
        found = [known.rows(company, texts) for company in block.companies]
        belongs = [configured(panel.universe, company, texts) for company in block.companies]
        for place, (at, answered_at) in enumerate(zip(map(to_text, block.instants), asked, strict=True)):
            for company, rows, is_in in zip(block.companies, found, belongs, strict=True):
                if is_in[place]:
                    yield at, company, *known.answered(rows[place], answered_at, panel.longest)


def _make_row(fields: Sequence[Field]) -> Callable[..., PanelRow]:
    """Return what makes an object of a row's values."""
    names = [field.column for field in fields]

    def make(at: datetime, symbol: str, *rest: Any) -> PanelRow:
        values, (observed_at, hours, *observed_symbol) = rest[: len(names)], rest[len(names) :]
        staleness = None if hours is None else timedelta(milliseconds=round(hours * 3_600_000))
        return PanelRow(at, symbol, dict(zip(names, values, strict=True)), observed_at, staleness, *observed_symbol)

    return make

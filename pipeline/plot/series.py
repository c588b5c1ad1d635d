"""What a plot shows, before anything is drawn: a field's values through time, cut into lines and gaps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from pipeline.model.fields import Field
from pipeline.text import printable

_LARGEST, _SMALLEST = 1e30, 1e-30
"""A larger value is an error of the API and would flatten all others; a smaller one is drawn as 0."""


@dataclass(frozen=True, slots=True)
class Point:
    """A version of a field: known to hold from one instant to the other; None where the API sent no value."""

    observed_at: datetime
    confirmed_at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Company:
    """A company that a plot shows."""

    symbol: str
    name: str | None = None
    is_invented: bool = False
    """Whether the sandbox made the company up."""

    @property
    def label(self) -> str:
        """Its symbol, and whether it is invented."""
        return f"{self.symbol} (invented)" if self.is_invented else self.symbol

    @property
    def title(self) -> str:
        """Symbol and name, safe to show anywhere."""
        return printable(f"{self.label}  {self.name}" if self.name else self.label)


@dataclass(frozen=True, slots=True)
class Series:
    """A company's field through time, oldest first, and the `observed_at` of its suspicious points."""

    company: Company
    field: Field
    points: tuple[Point, ...]
    suspicious: frozenset[datetime] = frozenset()
    note: str | None = None
    """Why nothing is drawn, if that is not to be seen from the points."""


@dataclass(frozen=True, slots=True)
class Spell:
    """Observations in a row at which the API had no overview of a company: the first, and the last."""

    start: datetime
    end: datetime
    seen_before: datetime
    """When the company was last seen before them."""
    seen_again: datetime | None
    """When it was next seen; None if it was not."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A field of one or more companies, drawn on common axes."""

    field: Field
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Panels above one another, on a common axis of dates. Each has a series of every company, in the same order."""

    companies: tuple[Company, ...]
    panels: tuple[Panel, ...]
    until: datetime
    """When a company was last observed."""
    uncovered: tuple[Spell, ...] = ()
    """When the API did not cover the company. Of one company only."""

    @property
    def series(self) -> tuple[Series, ...]:
        """All series."""
        return tuple(one for panel in self.panels for one in panel.series)

    @property
    def title(self) -> str:
        """The heading, safe to show anywhere: the company, or the symbols of several."""
        if len(self.companies) == 1:
            return self.companies[0].title
        return printable(", ".join(company.label for company in self.companies))

    @property
    def origin(self) -> str:
        """Where the values come from."""
        return origin(self.companies)


def spells_within(plot: Plot) -> list[Spell]:
    """Return the spells without coverage that lie among the snapshots."""
    span = bounds(plot.series)
    return [spell for spell in plot.uncovered if span is not None and span[0] < spell.start and spell.end < span[1]]


def uncovered_since(plot: Plot) -> datetime | None:
    """Return since when the company is not covered; None if it was seen after that, or in other words, is."""
    return next((spell.start for spell in plot.uncovered if spell.start > plot.until), None)


def origin(companies: Iterable[Company]) -> str:
    """Return where the values of these companies come from."""
    invented = {company.is_invented for company in companies}
    return "Invented by the sandbox" if invented == {True} else "Alpha Vantage OVERVIEW"


@dataclass(frozen=True, slots=True)
class Segment:
    """A level piece of a line. Confirmed: seen at both ends. If not, the value changed at some instant in between."""

    start: datetime
    end: datetime
    value: float
    confirmed: bool


Line = tuple[Segment, ...]
"""Segments without a gap: each begins where the one before it ended."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The values of a series in short."""

    first: float
    last: float
    low: float
    high: float
    ends_without_value: bool
    """The latest snapshot has no value: `last` is older than it."""


def merged(points: Iterable[Point]) -> list[Point]:
    """Return the points with equal neighbours merged: the document changed in between, the field did not."""
    found: list[Point] = []
    for point in points:
        value = drawable(point.value)
        if found and found[-1].value == value:
            found[-1] = Point(found[-1].observed_at, point.confirmed_at, value)
        else:
            found.append(point if point.value == value else Point(point.observed_at, point.confirmed_at, value))
    return found


def interrupted(points: Sequence[Point], spells: Sequence[Spell]) -> tuple[Point, ...]:
    """Return the points of a covered company, with one that has no value for each spell that has ended.

    A snapshot that was the same before and after a spell is one point, but nothing confirmed its value meanwhile.
    """
    if not spells:
        return tuple(points)
    found: list[Point] = []
    for point, later in zip_longest(points, points[1:]):
        since = point.observed_at
        for spell in spells if point.value is not None else ():
            is_of_point = point.observed_at < spell.start and (later is None or spell.start < later.observed_at)
            if is_of_point and spell.seen_again is not None:
                found.append(Point(since, min(point.confirmed_at, spell.seen_before), point.value))
                found.append(Point(spell.start, spell.end, None))
                since = spell.seen_again
        if since <= point.confirmed_at:
            found.append(Point(since, point.confirmed_at, point.value))
    return tuple(found)


def drawable(value: float | None) -> float | None:
    """Return a value as it is drawn; None for one that no axis can hold."""
    if value is None or abs(value) > _LARGEST:
        return None
    return value if abs(value) >= _SMALLEST else 0.0


def lines(points: Sequence[Point]) -> tuple[Line, ...]:
    """Return the unbroken lines of a series. Where there was no value, there is no line."""
    found: list[Line] = []
    line: list[Segment] = []
    versions = merged(points)
    for point, later in zip_longest(versions, versions[1:]):
        if point.value is None:
            continue
        line.append(Segment(point.observed_at, point.confirmed_at, point.value, confirmed=True))
        if later is not None:
            line.append(Segment(point.confirmed_at, later.observed_at, point.value, confirmed=False))
        if later is None or later.value is None:
            found.append(tuple(line))
            line = []
    return tuple(found)


def suspicious_points(series: Series) -> list[tuple[datetime, float]]:
    """Return instant and value of the suspicious points that can be drawn."""
    return [
        (point.observed_at, point.value)
        for point in series.points
        if point.observed_at in series.suspicious and drawable(point.value) is not None and point.value is not None
    ]


def bounds(many: Iterable[Series]) -> tuple[datetime, datetime] | None:
    """Return the first and the last instant of all series; None where nothing was observed."""
    points = [point for series in many for point in series.points]
    if not points:
        return None
    return min(point.observed_at for point in points), max(point.confirmed_at for point in points)


def summary(points: Sequence[Point]) -> Summary | None:
    """Return a summary of the values; None without any."""
    drawn = [drawable(point.value) for point in points]
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    return Summary(values[0], values[-1], min(values), max(values), ends_without_value=drawn[-1] is None)

"""The table below a picture in a page: every value in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.instants import for_people
from pipeline.plot.cross_section import CrossSection, category, number
from pipeline.plot.labels import before, exact
from pipeline.plot.series import Plot, Series
from pipeline.text import printable


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column: a name, and in small letters its unit. Numbers stand at the right."""

    name: str
    unit: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and whether its value is suspicious."""

    text: str
    is_suspicious: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below headings, and a caption that says what they are."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]


def history_table(plot: Plot) -> Table:
    """Return the versions of a plot, newest first: one row each, neighbours equal in every field merged."""
    several = len(plot.companies) > 1
    fields = [panel.field for panel in plot.panels]
    rows = [
        (version.observed_at, (*([Cell(company.label)] if several else []), *_cells(version, series)))
        for number, company in enumerate(plot.companies)
        if (series := [panel.series[number] for panel in plot.panels])
        for version in _versions(series)
    ]
    rows.sort(key=lambda row: row[0], reverse=True)
    return Table(
        "Each version, newest first: when it was first seen, and last seen unchanged (UTC).",
        (
            *([Heading("symbol")] if several else []),
            Heading("observed_at"),
            Heading("confirmed_at"),
            *(Heading(field.column, field.unit, is_number=True) for field in fields),
        ),
        tuple(cells for _, cells in rows),
    )


def section_table(section: CrossSection) -> Table:
    """Return the companies of a cross-section, by symbol."""
    return Table(
        "Each company: its values at the instant, and when they were last seen by then (UTC).",
        (
            Heading("symbol"),
            Heading("name"),
            Heading(section.y.column, section.y.unit, is_number=not section.has_rows),
            Heading(section.x.column, section.x.unit, is_number=True),
            Heading("confirmed_at"),
            Heading("staleness"),
        ),
        tuple(
            (
                Cell(dot.company.label),
                Cell(printable(dot.company.name or "-")),
                Cell(category(dot) if section.has_rows else exact(number(dot.y), section.y.kind)),
                Cell(exact(number(dot.x), section.x.kind)),
                Cell(for_people(dot.confirmed_at)),
                Cell(before(dot.staleness)),
            )
            for dot in section.dots
        ),
    )


@dataclass(frozen=True, slots=True)
class _Version:
    observed_at: datetime
    confirmed_at: datetime
    values: tuple[float | None, ...]
    suspicious: tuple[bool, ...]


def _versions(series: Sequence[Series]) -> list[_Version]:
    """Return the versions of a company's fields together. The series of one company have the same snapshots."""
    points_at = [{point.observed_at: point for point in one.points} for one in series]
    found: list[_Version] = []
    for at in sorted({at for points in points_at for at in points}):
        points = [of_field.get(at) for of_field in points_at]
        values = tuple(point.value if point else None for point in points)
        suspicious = tuple(at in one.suspicious for one in series)
        since, until = at, max(point.confirmed_at for point in points if point)
        if found and (found[-1].values, found[-1].suspicious) == (values, suspicious):
            since = found.pop().observed_at
        found.append(_Version(since, until, values, suspicious))
    return found


def _cells(version: _Version, series: Sequence[Series]) -> list[Cell]:
    instants = [Cell(for_people(at)) for at in (version.observed_at, version.confirmed_at)]
    values = zip(series, version.values, version.suspicious, strict=True)
    return [
        *instants,
        *(Cell(exact(value, one.field.kind), is_suspicious=suspicious) for one, value, suspicious in values),
    ]

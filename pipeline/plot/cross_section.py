"""A cross-section: two fields of every company at one instant, before anything is drawn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from pipeline.errors import ExitCode, Trouble
from pipeline.instants import for_people
from pipeline.model.fields import Field, Kind
from pipeline.plot.labels import before
from pipeline.plot.series import Company, drawable
from pipeline.text import count, printable

Value = float | str | date | None

_NUMBERS = (Kind.INTEGER, Kind.REAL)
_MOST_CATEGORIES = 40
"""Rows of a picture: the rest is one row."""
NO_VALUE = "no value"


class NotDrawable(Trouble):
    """The two fields do not make a picture."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Dot:
    """A company at the instant: its values of the two fields, and when they were last seen by then."""

    company: Company
    x: Value
    y: Value
    confirmed_at: datetime
    staleness: timedelta


@dataclass(frozen=True, slots=True)
class CrossSection:
    """Two fields of companies at an instant. If one is a text or a date, it is `y`: a row for each of its values."""

    at: datetime
    x: Field
    y: Field
    dots: tuple[Dot, ...]
    """The companies that can be drawn, by symbol."""
    left_out: int
    """How many companies lack a number that is drawn."""

    @property
    def has_rows(self) -> bool:
        """Whether `y` is a text or a date."""
        return self.y.kind not in _NUMBERS

    @property
    def summary(self) -> str:
        """How many companies are drawn, how long before the instant they were last seen, and how many are not drawn."""
        stalest = before(max(dot.staleness for dot in self.dots))
        left_out = f"; {self.left_out:,} without a value left out" if self.left_out else ""
        return f"{count(len(self.dots), 'company', 'companies')}, last seen up to {stalest}{left_out}"

    @property
    def title(self) -> str:
        """The heading: fields and instant."""
        return f"{self.y.column} and {self.x.column}, as of {for_people(self.at)} UTC"


@dataclass(frozen=True, slots=True)
class Row:
    """A category with its companies."""

    label: str
    """Safe to show anywhere."""
    dots: tuple[Dot, ...]
    median: float


def cross_section(at: datetime, first: Field, second: Field, dots: Sequence[Dot]) -> CrossSection:
    """Return the cross-section of companies whose `x` is the first field and `y` the second.

    Raise NotDrawable if neither field is a number, or no company has the numbers.
    """
    if first.kind not in _NUMBERS and second.kind not in _NUMBERS:
        problem = f"neither {first.column} nor {second.column} is a number, and a plot needs one"
        raise NotDrawable(problem, remedy="name a field such as pe_ratio")
    x, y = first, second
    if x.kind not in _NUMBERS:  # categories are rows
        x, y = second, first
        dots = [Dot(dot.company, dot.y, dot.x, dot.confirmed_at, dot.staleness) for dot in dots]
    has_rows = y.kind not in _NUMBERS
    complete = (dot for dot in dots if _is_drawable(dot.x) and (has_rows or _is_drawable(dot.y)))
    drawn = tuple(sorted(complete, key=lambda dot: dot.company.symbol))
    if not drawn:
        numbers = x.column if has_rows else f"both {x.column} and {y.column}"
        raise Trouble(f"no company had {numbers} then: there is nothing to draw")
    return CrossSection(at, x, y, drawn, len(dots) - len(drawn))


def rows(section: CrossSection) -> list[Row]:
    """Return the categories: dates in order, texts by their median, the highest first.

    Of many, these are the largest ones, and one row for the others.
    """
    sizes = Counter(map(category, section.dots))
    most = _MOST_CATEGORIES if len(sizes) <= _MOST_CATEGORIES else _MOST_CATEGORIES - 1
    kept = {name for name, _ in sizes.most_common(most)}
    members: dict[str | None, list[Dot]] = {}
    for dot in section.dots:
        name = category(dot)
        members.setdefault(name if name in kept else None, []).append(dot)
    others = f"{len(sizes) - len(kept)} others"
    found = [
        (name is None, Row(name or others, tuple(dots), median(number(dot.x) for dot in dots)))
        for name, dots in members.items()
    ]
    by_date = section.y.kind is Kind.DATE
    found.sort(key=lambda one: (one[0], 0.0 if by_date else -one[1].median, one[1].label))
    return [row for _, row in found]


def has_median(row: Row) -> bool:
    """Return whether a row has a median to show: one company is its own."""
    return len(row.dots) > 1


def category(dot: Dot) -> str:
    """Return the text or date by which a company is in a row, safe to show anywhere."""
    return NO_VALUE if dot.y in (None, "") else printable(str(dot.y))


def _is_drawable(value: Value) -> bool:
    return isinstance(value, (int, float)) and drawable(value) is not None


def number(value: Value) -> float:
    """Return a value of a field that is a number, as it is drawn."""
    assert isinstance(value, (int, float))
    drawn = drawable(value)
    assert drawn is not None
    return drawn

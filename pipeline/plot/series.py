"""What a plot shows, before anything is drawn: a field's values in time, where they were known, and how they read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor, log10

from pipeline.model.fields import Field
from pipeline.text import harmless

_LARGEST, _SMALLEST = 1e30, 1e-30
"""A value beyond the one is a mistake of the API's that would leave nothing else to see; below the other, it is 0."""


@dataclass(frozen=True, slots=True)
class Point:
    """A version of a field: known to hold from one instant to the other; None where the API said "no value"."""

    observed_at: datetime
    confirmed_at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A field through time, oldest first, and the `observed_at` of the points that look wrong."""

    field: Field
    points: tuple[Point, ...]
    suspicious: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A level piece of a line. Known: seen at both ends. If not: it changed before the end, without our seeing when."""

    start: datetime
    end: datetime
    value: float
    known: bool


Line = tuple[Stretch, ...]
"""Stretches without a gap: each begins where the one before it ended."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a panel's heading says."""

    first: float
    last: float
    low: float
    high: float
    gone: bool
    """The latest snapshot has no value: `last` is older than it."""


# Time


def merged(points: Iterable[Point]) -> list[Point]:
    """Return the points with equal neighbours made one: the document changed in between, the field did not."""
    kept: list[Point] = []
    for point in points:
        value = _drawable(point.value)
        if kept and kept[-1].value == value:
            kept[-1] = Point(kept[-1].observed_at, point.confirmed_at, value)
        else:
            kept.append(Point(point.observed_at, point.confirmed_at, value))
    return kept


def _drawable(value: float | None) -> float | None:
    if value is None or abs(value) > _LARGEST:
        return None
    return value if abs(value) >= _SMALLEST else 0.0


def lines(points: Sequence[Point]) -> tuple[Line, ...]:
    """Return the unbroken lines of a series. Where there was no value, there is no line."""
    found: list[Line] = []
    line: list[Stretch] = []
    kept = merged(points)
    for point, later in zip(kept, [*kept[1:], None], strict=True):
        if point.value is None:
            continue
        line.append(Stretch(point.observed_at, point.confirmed_at, point.value, known=True))
        if later is not None:
            line.append(Stretch(point.confirmed_at, later.observed_at, point.value, known=False))
        if later is None or later.value is None:
            found.append(tuple(line))
            line = []
    return tuple(found)


def marked(series: Series) -> list[tuple[datetime, float]]:
    """Return where the points that look wrong stand."""
    return [
        (point.observed_at, point.value)
        for point in series.points
        if point.observed_at in series.suspicious and _drawable(point.value) is not None and point.value is not None
    ]


def bounds(many: Iterable[Series]) -> tuple[datetime, datetime] | None:
    """Return the first and the last instant of all series, which share one axis; None where nothing was observed."""
    points = [point for series in many for point in series.points]
    if not points:
        return None
    return min(point.observed_at for point in points), max(point.confirmed_at for point in points)


# Words


def heading(symbol: str, name: str | None) -> str:
    """Return the title of a plot, harmless to whatever shows it."""
    return harmless(f"{symbol}  {name}" if name else symbol)


def summary(points: Sequence[Point]) -> Summary | None:
    """Return what a panel's heading says of its values; None without any."""
    kept = merged(points)
    values = [point.value for point in kept if point.value is not None]
    if not values:
        return None
    return Summary(values[0], values[-1], min(values), max(values), gone=kept[-1].value is None)


def spoken(series: Series) -> str | None:
    """Return in words what is too little to draw: nothing, no value, or a single value; None where there is a line."""
    points = series.points
    if not points:
        return "nothing observed"
    times = "snapshot" if len(points) == 1 else "snapshots"
    since, until = points[0].observed_at, points[-1].confirmed_at
    values = [point.value for point in merged(points) if point.value is not None]
    if not values:
        return f"no value in {len(points):,} {times}, {between(since, until)}"
    if len(points) == 1:
        wrong = ", looks wrong" if marked(series) else ""
        return f"{human(values[0])}, {between(since, until)}{wrong}"
    return None


def between(since: datetime, until: datetime) -> str:
    """Return an interval in words, to the day."""
    if day(since) == day(until):
        return f"seen on {day(since)}"
    return f"from {day(since)} to {day(until)}"


def journey(points: Sequence[Point]) -> str:
    """Return the first and the last value, and the change between them: `30.87 → 34.14, +10.6 %`."""
    said = summary(points)
    if said is None:
        return ""
    gone = ", then no value" if said.gone else ""
    if said.low == said.high:
        return f"{human(said.last)}, unchanged{gone}"
    rise = change(said.first, said.last)
    return f"{human(said.first)} → {human(said.last)}{f', {rise}' if rise else ''}{gone}"


def change(first: float, last: float) -> str:
    """Return the change in per cent; empty where a percentage would mislead, from zero or across it."""
    if first == last:
        return "±0 %"
    if first * last <= 0:
        return ""
    percent = (last - first) / abs(first) * 100
    if abs(percent) >= 1_000_000:
        return ""
    places = 0 if abs(percent) >= 1000 else 1 if abs(percent) >= 0.1 else 3
    return f"{percent:+,.{places}f} %"


def day(instant: datetime) -> str:
    """Return the day of an instant, in UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d")


_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_SCIENTIFIC = 1e15, 1e-6
"""Beyond these a number is told by its exponent."""


def _scale(size: float) -> tuple[float, str]:
    return next(((divisor, letter) for divisor, letter in _SCALES if size >= divisor), (1.0, ""))


def human(value: float) -> str:
    """Return a number to four digits or to the cent, as people write it: 3.142T, 450B, 12.3, 0.2741."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= _SCIENTIFIC[0] or size < _SCIENTIFIC[1]:
        return f"{value:.3g}"
    divisor, letter = _scale(size)
    places = max(0, 3 - floor(log10(size / divisor)))
    if not letter and size < 100_000:
        places = max(places, 2)
    text = f"{value / divisor:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + letter


# Axes


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis of values, and what stands there."""

    value: float
    label: str


def value_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return round values within the range, at most so many, labelled alike."""
    if high - low <= max(abs(low), abs(high)) * 1e-13:  # so small beside its values that floats cannot divide it
        return [Tick(low, human(low))]
    step = _round_step((high - low) / (most + 1))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    while last - first + 1 > most:
        step = _round_step(step * 1.01)
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return [Tick(value, label) for value, label in zip(values, _alike(values, step), strict=True)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is no less."""
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _alike(values: Sequence[float], step: float) -> list[str]:
    """Return labels of one unit, with as many decimals as tell neighbours apart."""
    size = max(map(abs, values), default=0.0)
    if size >= _SCIENTIFIC[0] or step < _SCIENTIFIC[1]:
        digits = max(4, floor(log10(size / step)) + 2)
        return [f"{value:.{digits}g}" for value in values]
    divisor, letter = _scale(size)
    places = max(0, -floor(log10(step / divisor) + 1e-9))
    return ["0" if value == 0 else f"{value / divisor:,.{places}f}{letter}" for value in values]


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_TO_THE_HOUR = "%Y-%m-%d %H:00"
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)


def date_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """Return round instants within the range, at most so many, with their ISO dates: a month, a day or an hour."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    for step, form in (
        (_HOUR, _TO_THE_HOUR),
        (6 * _HOUR, _TO_THE_HOUR),
        (_DAY, "%Y-%m-%d"),
        (2 * _DAY, "%Y-%m-%d"),
        (7 * _DAY, "%Y-%m-%d"),
        (14 * _DAY, "%Y-%m-%d"),
    ):
        if (end - start) / step <= (most / 2 if form == _TO_THE_HOUR else most):  # as the label is longer
            return [(instant, instant.strftime(form)) for instant in _multiples(start, end, step)]
    for months in _MONTHS:
        found = list(_firsts(start, end, months))
        if len(found) <= most:
            break
    form = "%Y" if months >= 12 else "%Y-%m"
    return [(instant, instant.strftime(form)) for instant in found]


_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


def _multiples(start: datetime, end: datetime, step: timedelta) -> Iterable[datetime]:
    instant = _MONDAY - (_MONDAY - start) // step * step  # the first multiple not before the start
    while instant <= end:
        yield instant
        instant += step


def _firsts(start: datetime, end: datetime, months: int) -> Iterable[datetime]:
    """Yield the first of every so many months."""
    number = start.year * 12 + start.month - 1
    number -= number % months
    while (instant := datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)) <= end:
        if instant >= start:
            yield instant
        number += months

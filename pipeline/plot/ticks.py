"""Round values and dates for the axes of a plot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor, log10

from pipeline.plot.labels import SCIENTIFIC, human, scale_of


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis of values, and its label."""

    value: float
    label: str


def value_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return up to `most` round values within the range, with labels of one unit and precision."""
    if high - low <= max(abs(low), abs(high)) * 1e-13:  # floats cannot divide so small a difference
        return [Tick(low, human(low))]
    step = _round_step((high - low) / (most + 1))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    while last - first + 1 > most:
        step = _round_step(step * 1.01)
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return [Tick(value, label) for value, label in zip(values, _labels(values, step), strict=True)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _labels(values: Sequence[float], step: float) -> list[str]:
    """Return labels of one unit, with enough decimals to tell neighbours apart."""
    size = max(map(abs, values), default=0.0)
    if size >= SCIENTIFIC[0] or step < SCIENTIFIC[1]:
        digits = max(4, floor(log10(size / step)) + 2)
        return [f"{value:.{digits}g}" for value in values]
    divisor, letter = scale_of(size)
    places = max(0, -floor(log10(step / divisor) + 1e-9))
    return ["0" if value == 0 else f"{value / divisor:,.{places}f}{letter}" for value in values]


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_TO_THE_HOUR, _TO_THE_DAY = "%Y-%m-%d %H:00", "%Y-%m-%d"
_STEPS = (
    (_HOUR, _TO_THE_HOUR),
    (6 * _HOUR, _TO_THE_HOUR),
    (_DAY, _TO_THE_DAY),
    (2 * _DAY, _TO_THE_DAY),
    (7 * _DAY, _TO_THE_DAY),
    (14 * _DAY, _TO_THE_DAY),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


def date_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """Return up to `most` round instants within the range, with ISO labels to the year, month, day or hour."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    for step, form in _STEPS:
        room = most / 2 if form == _TO_THE_HOUR else most  # as the label is longer
        if (end - start) / step <= room:
            return [(instant, instant.strftime(form)) for instant in _multiples(start, end, step)]
    for months in _MONTHS:
        found = list(_months(start, end, months))
        if len(found) <= most:
            break
    form = "%Y" if months >= 12 else "%Y-%m"
    return [(instant, instant.strftime(form)) for instant in found]


def _multiples(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    instant = _MONDAY - (_MONDAY - start) // step * step  # the first multiple not before the start
    while instant <= end:
        yield instant
        instant += step


def _months(start: datetime, end: datetime, step: int) -> Iterator[datetime]:
    """Yield the first day of every `step` months."""
    number = start.year * 12 + start.month - 1
    number -= number % step
    while (instant := datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)) <= end:
        if instant >= start:
            yield instant
        number += step

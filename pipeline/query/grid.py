"""Grid: the instants of a panel. Pure arithmetic on days and instants in UTC."""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from pipeline.instants import in_milliseconds, of_day


class Every(StrEnum):
    """How far the instants of a grid are apart."""

    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"
    QUARTER = "1q"


_DAYS = {Every.DAY: 1, Every.WEEK: 7}
_MONTHS = {Every.MONTH: 1, Every.QUARTER: 3}


def grid(every: Every, since: date | datetime, until: datetime) -> Iterator[datetime]:
    """Yield instants from `since` to `until`, both included, in order.

    From a day on they are the ends of days in UTC: of each, of each seventh, of each month, of each calendar quarter.
    From an instant on they are that instant, and the same time a day, week, month or quarter later, and so on; in a
    month that is too short for the day, on its last day.
    """
    if isinstance(since, datetime):
        first = in_milliseconds(since).astimezone(UTC)
        instants = (datetime.combine(day, first.time(), UTC) for day in _days(every, first.date()))
    else:
        instants = (of_day(day, ends=True) for day in _period_ends(every, since))
    return takewhile(lambda at: at <= until, instants)


def _days(every: Every, first: date) -> Iterator[date]:
    """Yield the first day, and those a day, week, month or quarter apart from it."""
    if every in _DAYS:
        ordinals = range(first.toordinal(), date.max.toordinal() + 1, _DAYS[every])
        return map(date.fromordinal, ordinals)
    return (_in_month(number, first.day) for number in range(_month(first), _month(date.max) + 1, _MONTHS[every]))


def _period_ends(every: Every, first: date) -> Iterator[date]:
    """Yield the last days of periods that end on or after the first day. A week begins with it, and counts by it."""
    if every in _DAYS:
        return _days(every, first)
    step = _MONTHS[every]
    ending = _month(first) // step * step + step - 1
    return (_in_month(number, 31) for number in range(ending, _month(date.max) + 1, step))


def _month(day: date) -> int:
    """Return the number of a day's month since the year 0."""
    return day.year * 12 + day.month - 1


def _in_month(number: int, day: int) -> date:
    year, month = divmod(number, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))


def period_end(every: Every, day: date) -> date:
    """Return the last day of the week (a Sunday), month or quarter of a day; for `1d` the day."""
    if every in _DAYS:
        return min(day + timedelta(days=(6 - day.weekday()) * (every is Every.WEEK)), date.max)
    return next(iter(_period_ends(every, day)))


def last_of_periods(every: Every, days: Iterable[date]) -> list[date]:
    """Return of ascending days the last one in each week, month or quarter; for `1d` all."""
    return list({period_end(every, day): day for day in days}.values())

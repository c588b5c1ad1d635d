"""Trading days: weekdays, numbered one after another."""

from datetime import date

_WEEK = 7
_TRADING_WEEK = 5
TRADING_YEAR = 252
"""The trading days in the API's 52 weeks. Their prices are drawn together."""
TRADING_DAYS_A_YEAR = 365.25 / _WEEK * _TRADING_WEEK


def trading_day(day: date) -> int:
    """Return the number of the last weekday up to this day: nothing changes on Saturday and Sunday."""
    weeks, weekday = divmod(day.toordinal() - 1, _WEEK)  # the ordinal 1 was a Monday
    return weeks * _TRADING_WEEK + min(weekday, _TRADING_WEEK - 1)


def ordinal_of(trading_day: int) -> int:
    """Return the ordinal of a trading day's date."""
    weeks, weekday = divmod(trading_day, _TRADING_WEEK)
    return weeks * _WEEK + weekday + 1


def on_weekday(ordinal: int) -> date:
    """Return the day, or the Monday after it where it falls on a weekend."""
    weekday = (ordinal - 1) % _WEEK
    return date.fromordinal(ordinal + (_WEEK - weekday if weekday >= _TRADING_WEEK else 0))

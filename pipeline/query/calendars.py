"""Calendars: when exchanges close on their trading days. Needs the extra `calendars`."""

import warnings
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches

import exchange_calendars
import pandas as pd
from exchange_calendars.errors import CalendarError

from pipeline.errors import ExitCode, Trouble
from pipeline.query.grid import Every, last_of_periods, period_end
from pipeline.text import quoted


class CalendarNotFound(Trouble):
    """No calendar has the name given, or it does not reach the days."""

    exit_code = ExitCode.USAGE


def closes(calendar: str, every: Every, since: date | datetime, until: datetime) -> list[datetime]:
    """Return when an exchange closes on the last trading day of each day, week, month or quarter, in order.

    Weeks begin on Monday. From a day on, `since` and `until` bound the trading days; else the closes. Raise
    CalendarNotFound for an unknown calendar, or one that does not reach the interval.
    """
    first = since.astimezone(UTC).date() if isinstance(since, datetime) else since
    if first > until.date():
        return []
    days = _closes(calendar, first - timedelta(days=1), period_end(every, until.date()))
    chosen = (days[day] for day in last_of_periods(every, days) if day >= first)
    earliest = since if isinstance(since, datetime) else datetime.min.replace(tzinfo=UTC)
    return [close for close in chosen if earliest <= close <= until]


def _closes(name: str, first: date, last: date) -> dict[date, datetime]:
    """Return the trading days of an interval, each with its close."""
    names = exchange_calendars.get_calendar_names()
    if name.upper() not in names:
        near = get_close_matches(name.upper(), names, n=3, cutoff=0.4)
        remedy = f"did you mean {' or '.join(near)}?" if near else "use an ISO 10383 code, such as XNYS"
        raise CalendarNotFound(f"unknown calendar {quoted(name)}", remedy=remedy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # exchange_calendars 4.13 uses what pandas 4 will change
            calendar = exchange_calendars.get_calendar(name.upper(), start=pd.Timestamp(first), end=pd.Timestamp(last))
    except (CalendarError, ValueError) as error:
        raise CalendarNotFound(f"calendar {name.upper()}: {str(error).splitlines()[0]}") from None
    return {session.date(): close.to_pydatetime().astimezone(UTC) for session, close in calendar.closes.items()}

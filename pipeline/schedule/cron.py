"""Cron schedules: check a cron line and a time zone, and compute the instants at which they fire.

Lines mean what they mean to Debian's cron. A line with a fixed minute and hour ("30 18 * * mon-fri") fires once for
each of its local times: at the first of the two where clocks go back, and right after the change where they skip it.
A line whose minute or hour begins with a star ("*/15 * * * *") follows the wall clock: a local time that occurs twice
fires twice, and one that is skipped does not fire.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pipeline.model.symbols import Symbol
from pipeline.schedule.zones import find_zone
from pipeline.text import quoted

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
ON_TIME = timedelta(minutes=1)
"""A fire time no older than this is on time, and runs even with `catch_up` of zero: the daemon is never that exact."""
_FIELDS = 5
_SOME_INSTANT = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def check_cron(line: str) -> None:
    """Raise ValueError, with the reason, for a line that crontab would refuse, or that never fires."""
    fields, shown = _fields(line), quoted(line)
    if len(fields.split()) != _FIELDS:
        raise ValueError(f"invalid cron line {shown}: use five fields, or one of {', '.join(ALIASES)}")
    try:
        next(CronSim(fields, _SOME_INSTANT))
    except CronSimError as error:
        if _is_valid_in_other_months(fields):
            raise ValueError(f"cron line {shown} never fires: its months have no such day") from None
        raise ValueError(f"invalid cron line {shown}: {_explain(error)}") from None
    except StopIteration:
        raise ValueError(f"cron line {shown} never fires in 50 years") from None


def _explain(error: CronSimError) -> str:
    """Return which field is wrong, and which values it may have."""
    text = str(error).lower()
    allowed = next((values for name, values in _ALLOWED.items() if text.endswith(name)), None)
    return text if allowed is None else f"{text} ({allowed}; also *, 1-5, 1,3, */2)"


_ALLOWED = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, or L for the last",
    "month": "1 to 12, or jan to dec",
    "day-of-week": "0 to 7, or sun to sat",
}


def _fields(line: str) -> str:
    """Return the line's fields with single spaces between them; an alias such as @daily is expanded."""
    return ALIASES.get(line.strip().lower(), " ".join(line.split()))


def _is_valid_in_other_months(fields: str) -> bool:
    """Whether only the months make the line invalid. CronSim reports 30 February as a bad day of the month."""
    minute, hour, day, month, weekday = fields.split()
    try:
        CronSim(f"* * * {month} *", _SOME_INSTANT)
        CronSim(f"{minute} {hour} {day} * {weekday}", _SOME_INSTANT)
    except CronSimError:
        return False
    return True


def check_timezone(name: str) -> None:
    """Raise ValueError for a name that is not a time zone of the IANA database."""
    find_zone(name)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to collect which symbols. The cron line has passed `check_cron`, the time zone `check_timezone`."""

    cron: str
    timezone: str
    catch_up: timedelta
    """How late the newest missed fire time may still run."""
    symbols: tuple[Symbol, ...] | None = None
    """None: all symbols of the configuration."""

    def __str__(self) -> str:
        """Return the name that the database stores the schedule under: `30 18 * * mon-fri America/New_York`."""
        return f"{_fields(self.cron)} {self.timezone}"

    def fire_times(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants (UTC) after `after` at which the schedule fires, ascending and without repetition.

        They end only with the calendar, in the year 9999. Starting from another `after` gives the same instants.

        CronSim gets naive local times, because its own handling of time zones is incomplete: started in an hour that
        occurs twice, it may repeat fire times; "*/15 0 * * sun" fires even if a change at midnight skips that hour; and
        where clocks change by half an hour, "*/15 0 * * *" misses two quarters.
        """
        zone = ZoneInfo(self.timezone)
        instants_of = _all_instants if self._follows_the_wall_clock else _first_instant
        latest, pending = after, list[datetime]()
        with suppress(OverflowError):  # the calendar ends with the year 9999
            for local in CronSim(_fields(self.cron), _earliest_local_time(after, zone)):
                found = instants_of(local, zone)
                for instant in found:
                    heappush(pending, instant)
                # Later local times may have instants before the second of this one, but none before the first.
                while pending and found and pending[0] <= found[0]:
                    instant = heappop(pending)
                    if instant > latest:
                        latest = instant
                        yield instant

    def next(self, after: datetime) -> datetime | None:
        """Return the first fire time after `after`; None only where the calendar ends before it."""
        return next(self.fire_times(after), None)

    @property
    def _follows_the_wall_clock(self) -> bool:
        minute, hour, *_ = _fields(self.cron).split()
        return minute.startswith("*") or hour.startswith("*")


def _earliest_local_time(after: datetime, zone: ZoneInfo) -> datetime:
    """Return a naive local time that is no later than that of any instant after `after`."""
    now, tomorrow = (instant.astimezone(zone).replace(tzinfo=None) for instant in (after, after + _DAY))
    return min(now, tomorrow - _DAY)  # clocks may go back in between


def _all_instants(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the instants at which clocks in the zone show this time: one, two (clocks go back), or none (skipped)."""
    first, second = _both_readings(local, zone)
    if first == second:
        return [first]
    return [first, second] if first < second else []


def _first_instant(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the first instant at which clocks in the zone show this time or, if it is skipped, the next one."""
    while True:
        first, second = _both_readings(local, zone)
        if first <= second:
            return [first]
        local += _MINUTE  # clocks skip it


def _both_readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants of a local time by the offsets before and after a change; descending if it is skipped."""
    aware = local.replace(tzinfo=zone)
    return aware.astimezone(UTC), aware.replace(fold=1).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class PastFireTimes:
    """The fire times after `since` and up to `now`: the newest, which is to run, and the others, which were missed."""

    schedule: Schedule
    since: datetime
    now: datetime
    newest: datetime | None
    """The last of them; None if there are none, or if it is too old to be caught up."""

    @property
    def missed(self) -> Iterator[datetime]:
        """Yield the fire times that do not run, ascending, one by one: a year of minutes has half a million."""
        newest = self.newest
        return takewhile(
            lambda instant: instant < newest if newest else instant <= self.now, self.schedule.fire_times(self.since)
        )


def past_fire_times(schedule: Schedule, *, since: datetime, now: datetime) -> PastFireTimes:
    """Return the fire times after `since`, up to which all have run or are recorded as missed.

    Finding the newest is quick, however long ago `since` is.
    """
    too_old = now - max(schedule.catch_up, ON_TIME) - timedelta.resolution
    return PastFireTimes(schedule, since, now, _newest(schedule, max(since, too_old), now))


def _newest(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """Return the last fire time after `after` and up to `until`. The search goes back from `until` in growing steps."""
    span = _HOUR
    while True:
        start = max(after, until - span)
        last = deque(takewhile(lambda instant: instant <= until, schedule.fire_times(start)), maxlen=1)
        if last or start == after:
            return last[0] if last else None
        span *= 2

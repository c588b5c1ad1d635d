"""The schedule: a cron line in a time zone, checked before anything starts, and the instants at which it fires.

Lines mean what they mean to Debian's cron. One whose minute and hour are fixed ("30 18 * * mon-fri") fires once for
each of its local times: at the first of two where clocks go back, and right after the change where they go forward over
it. One whose minute or hour begins with a star ("*/15 * * * *") follows the wall clock: a local time that comes
twice fires twice, one that does not come does not.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from pipeline.model.symbols import Symbol

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
PROMPT = timedelta(minutes=1)
"""A fire time no older than this is on time: without it, nothing would run where nothing is to be caught up."""
_FIELDS = 5
_ANY_INSTANT = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


# Checked


def check_cron(line: str) -> None:
    """Raise ValueError, saying why, for a line that crontab would not take, or that never fires."""
    fields = _fields(line)
    if len(fields.split()) != _FIELDS:
        raise ValueError(f"{line!r} is no cron line: five fields, or one of {', '.join(ALIASES)}")
    try:
        next(CronSim(fields, _ANY_INSTANT))
    except CronSimError as error:
        if _is_good_in_some_month(fields):
            raise ValueError(f"{line!r} never fires: its months have no such day") from None
        raise ValueError(f"{line!r} is no cron line: {_why(error)}") from None
    except StopIteration:
        raise ValueError(f"{line!r} never fires: not once in 50 years") from None


def _why(error: CronSimError) -> str:
    """Return which field is wrong, and what it may be."""
    text = str(error).lower()
    allowed = next((range_ for name, range_ in _ALLOWED.items() if text.endswith(name)), None)
    return text if allowed is None else f"{text} ({allowed}; also *, 1-5, 1,3, */2)"


_ALLOWED = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, or L for the last",
    "month": "1 to 12, or jan to dec",
    "day-of-week": "0 to 7, or sun to sat",
}


def _fields(line: str) -> str:
    """Return the line's fields, a space between them, and those that a name such as @daily is for."""
    return ALIASES.get(line.strip().lower(), " ".join(line.split()))


def _is_good_in_some_month(fields: str) -> bool:
    """Whether the line would do if it were not for its months. CronSim calls 30 February a bad day of the month."""
    minute, hour, day, month, weekday = fields.split()
    try:
        CronSim(f"* * * {month} *", _ANY_INSTANT)
        CronSim(f"{minute} {hour} {day} * {weekday}", _ANY_INSTANT)
    except CronSimError:
        return False
    return True


def check_zone(name: str) -> None:
    """Raise ValueError for a name that is no time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{name!r} is no time zone: a name such as "America/New_York" or "UTC"') from None


# Fire times


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to ask, and for what: a cron line that `check_cron` takes, in a zone that `check_zone` takes."""

    cron: str
    timezone: str
    catch_up: timedelta
    """How late the newest fire time that was missed may still be run."""
    symbols: tuple[Symbol, ...] | None = None
    """What is asked for; None: all that is configured."""

    def __str__(self) -> str:
        """Return what its fire times are kept under: `30 18 * * mon-fri America/New_York`."""
        return f"{_fields(self.cron)} {self.timezone}"

    def fire_times(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants (UTC) later than `after` at which the schedule fires: ascending, none twice.

        They go on for ever, and do not depend on where one begins.

        CronSim is given local times only. Of zones it knows too little: begun in an hour that comes twice, it may fire
        again for what has fired; "*/15 0 * * sun" fires even if a change at midnight skips that hour; and where clocks
        change by half an hour, of "*/15 0 * * *" it leaves two quarters out.
        """
        zone = ZoneInfo(self.timezone)
        instants_at = _each_time if self._follows_the_wall_clock else _once
        latest, to_come = after, list[datetime]()
        with suppress(OverflowError):  # the calendar ends with the year 9999
            for local in CronSim(_fields(self.cron), _earliest_local_time(after, zone)):
                found = instants_at(local, zone)
                for instant in found:
                    heappush(to_come, instant)
                # Later local times may have instants before the second of this one, but none before the first.
                while to_come and found and to_come[0] <= found[0]:
                    instant = heappop(to_come)
                    if instant > latest:
                        latest = instant
                        yield instant

    def next(self, after: datetime) -> datetime | None:
        """Return the first fire time later than `after`; None only where the calendar ends before it."""
        return next(self.fire_times(after), None)

    @property
    def _follows_the_wall_clock(self) -> bool:
        minute, hour, *_ = _fields(self.cron).split()
        return minute.startswith("*") or hour.startswith("*")


def _earliest_local_time(after: datetime, zone: ZoneInfo) -> datetime:
    """Return a local time (naive) than which no instant later than `after` has an earlier one."""
    now, tomorrow = (instant.astimezone(zone).replace(tzinfo=None) for instant in (after, after + _DAY))
    return min(now, tomorrow - _DAY)  # clocks may go back in between


def _each_time(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the instants at which clocks in the zone show this time: one, two where they go back over it, or none."""
    first, second = _readings(local, zone)
    if first == second:
        return [first]
    return [first, second] if first < second else []


def _once(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the first instant at which clocks in the zone show this time, or a later one where they never do."""
    while True:
        first, second = _readings(local, zone)
        if first <= second:
            return [first]
        local += _MINUTE  # clocks go forward over it


def _readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants of a local time by the offset before and after a change: crosswise if it is skipped."""
    aware = local.replace(tzinfo=zone)
    return aware.astimezone(UTC), aware.replace(fold=1).astimezone(UTC)


# What is to be done


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What the fire times later than `since`, and not later than `now`, come to."""

    schedule: Schedule
    since: datetime
    now: datetime
    newest: datetime | None
    """The last of them, to be run, unless it is too old to be caught up."""

    @property
    def missed(self) -> Iterator[datetime]:
        """Yield the others, ascending: nothing is run for them. A year's minutes are half a million, so one by one."""
        newest = self.newest
        return takewhile(
            lambda instant: instant < newest if newest else instant <= self.now, self.schedule.fire_times(self.since)
        )


def reckon(schedule: Schedule, *, since: datetime, now: datetime) -> Reckoning:
    """Return what is to be run and what was missed, when all fire times up to `since` are done with.

    The newest is found at once, however long ago that is.
    """
    too_old = now - max(schedule.catch_up, PROMPT) - timedelta.resolution
    return Reckoning(schedule, since, now, _newest(schedule, max(since, too_old), now))


def _newest(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """Return the last fire time later than `after` and not later than `until`: looked for ever further back."""
    span = _HOUR
    while True:
        start = max(after, until - span)
        last = deque(takewhile(lambda instant: instant <= until, schedule.fire_times(start)), maxlen=1)
        if last or start == after:
            return last[0] if last else None
        span *= 2

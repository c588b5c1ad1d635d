"""The schedule: a cron line in a time zone, checked before anything starts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 5
_ANY_INSTANT = datetime(2024, 1, 1, tzinfo=UTC)


def check_cron(line: str) -> None:
    """Raise ValueError, saying why, for a line that crontab would not take, or that never fires."""
    fields = ALIASES.get(line.strip().lower(), line)
    if len(fields.split()) != _FIELDS:
        raise ValueError(f"{line!r} is no cron line: five fields, or one of {', '.join(ALIASES)}")
    try:
        next(CronSim(fields, _ANY_INSTANT))
    except CronSimError as error:
        if _is_good_in_some_month(fields):
            raise ValueError(f"{line!r} never fires: its months have no such day") from None
        raise ValueError(f"{line!r} is no cron line: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{line!r} never fires: not once in 50 years") from None


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

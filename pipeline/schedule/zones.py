"""Time zones of one offset all year, which are easily taken for local time: `EST` is not New York's time in summer."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.text import quoted

_ABBREVIATIONS = {"EST": "America/New_York", "MST": "America/Denver", "HST": "Pacific/Honolulu"}
"""Abbreviations that are zones of their own, and the place whose clocks are probably meant."""
_ETC = re.compile(r"Etc/GMT[+-][0-9]{1,2}", re.IGNORECASE)
"""The sign is the reverse of the usual one: Etc/GMT+5 is five hours behind UTC."""
_PLACES = {
    -10: "Pacific/Honolulu",
    -9: "America/Anchorage",
    -8: "America/Los_Angeles",
    -7: "America/Denver",
    -6: "America/Chicago",
    -5: "America/New_York",
    -4: "America/Halifax",
    -3: "America/Sao_Paulo",
    1: "Europe/Berlin",
    2: "Europe/Athens",
    3: "Europe/Istanbul",
    8: "Asia/Shanghai",
    9: "Asia/Tokyo",
    10: "Australia/Sydney",
    12: "Pacific/Auckland",
}
"""A large place in each zone, by the hours that its standard time is ahead of UTC."""
_HOUR = timedelta(hours=1)
_LONGEST = 100
"""Characters of a name: the longest has 32, and Python recurses for each slash."""


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone. Raise ValueError for a name that is not in the IANA database."""
    try:
        return ZoneInfo(name[:_LONGEST])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'unknown time zone {quoted(name)}: use a name such as "America/New_York" or "UTC"') from None


def fixed_offset_problem(name: str) -> tuple[str, str] | None:
    """Return that a zone has no daylight saving time, and what to use for local time; None for UTC and for places."""
    by_abbreviation = _ABBREVIATIONS.get(name.upper())
    if by_abbreviation is None and not _ETC.fullmatch(name):
        return None
    offset = datetime(2024, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    if not offset:
        return None
    hours = offset // _HOUR
    place = by_abbreviation or _PLACES.get(hours)
    found = f"{name} is UTC{hours:+03}:00 all year, without daylight saving time"
    return found, f"for local time name a place, {f'such as {place}' if place else 'as Area/City'}"

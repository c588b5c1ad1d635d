"""Time zones of one offset all year: noted with the place that was probably meant."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from pipeline.schedule.zones import fixed_offset_problem


@pytest.mark.parametrize(
    ("name", "offset", "place"),
    [
        ("EST", "UTC-05:00", "America/New_York"),
        ("MST", "UTC-07:00", "America/Denver"),
        ("HST", "UTC-10:00", "Pacific/Honolulu"),
        ("Etc/GMT+5", "UTC-05:00", "America/New_York"),
        ("Etc/GMT+8", "UTC-08:00", "America/Los_Angeles"),
        ("Etc/GMT-1", "UTC+01:00", "Europe/Berlin"),
        ("Etc/GMT-14", "UTC+14:00", "Area/City"),
    ],
)
def test_a_zone_without_daylight_saving_time_is_noted_with_the_place_that_was_meant(
    name: str, offset: str, place: str
) -> None:
    problem = fixed_offset_problem(name)

    assert problem is not None
    assert f"{name} is {offset} all year" in problem[0]
    assert place in problem[1]
    assert (
        place == "Area/City"
        or datetime(2024, 1, 1, tzinfo=ZoneInfo(place)).utcoffset()
        == datetime(2024, 1, 1, tzinfo=ZoneInfo(name)).utcoffset()
    )


@pytest.mark.parametrize(
    "name", ["America/New_York", "EST5EDT", "US/Eastern", "America/Phoenix", "Asia/Tokyo", "Japan", "CET", "UTC",
             "Etc/UTC", "GMT", "Etc/GMT", "Etc/GMT+0", "Zulu"],
)  # fmt: skip
def test_places_zones_that_change_their_clocks_and_utc_are_not(name: str) -> None:
    assert fixed_offset_problem(name) is None


def test_no_zone_that_changes_its_clocks_is_ever_noted() -> None:
    for name in available_timezones():
        offsets = {datetime(2026, month, 15, tzinfo=ZoneInfo(name)).utcoffset() for month in range(1, 13)}
        if len(offsets) > 1 or offsets == {timedelta()}:
            assert fixed_offset_problem(name) is None

"""Cron schedules: crontab's lines are accepted, lines that never fire are refused, each fire time comes once."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.schedule.cron import ALIASES, ON_TIME, Schedule, check_cron, check_timezone, past_fire_times

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    "line",
    ["30 18 * * mon-fri", "*/5 * * * *", "0 0 29 2 *", "0 0 31 * *", "0 0 30 2 mon", "0 0 L * *", "  0  9 * * 1  "],
)
def test_a_line_that_crontab_accepts_is_accepted(line: str) -> None:
    check_cron(line)


@pytest.mark.parametrize("line", [*ALIASES, "@DAILY", " @weekly "])
def test_the_aliases_of_crontab_are_accepted(line: str) -> None:
    check_cron(line)


@pytest.mark.parametrize(
    "line", ["", "* * * *", "* * * * * *", "60 * * * *", "0 24 * * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * sat#9", "x"]
)
def test_an_invalid_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="invalid cron line"):
        check_cron(line)


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 feb,apr,jun,sep,nov *", "0 0 */30 2 1#5"])
def test_a_line_that_never_fires_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="never fires"):
        check_cron(line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("60 0 30 2 *", "bad minute (0 to 59;"),
        ("0 24 30 2 *", "bad hour (0 to 23;"),
        ("0 0 32 2 *", "bad day-of-month (1 to 31, or L for the last;"),
        ("0 0 30 13 *", "bad month (1 to 12, or jan to dec;"),
        ("0 0 30 2 */9x", "bad day-of-week (0 to 7, or sun to sat;"),
    ],
)
def test_a_bad_field_is_named_with_what_it_may_be_even_beside_a_day_that_never_comes(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{why}")):
        check_cron(line)


@hypothesis_settings(max_examples=40)  # a line that never fires is searched for 50 years
@given(st.text(st.sampled_from("0123456789*/-,#LWmonjafeb @"), max_size=20) | st.text(max_size=20))
def test_any_text_is_accepted_or_refused_as_a_line(line: str) -> None:
    try:
        check_cron(line)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or repr(line) in said


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Europe/Berlin"])
def test_a_time_zone_of_the_iana_database_is_accepted(name: str) -> None:
    check_timezone(name)


@pytest.mark.parametrize(
    "name", ["", ".", "New York", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 400]
)
def test_an_unknown_time_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown time zone .*America/New_York"):
        check_timezone(name)


@given(st.text(max_size=20))
def test_any_text_is_accepted_or_refused_as_a_time_zone(name: str) -> None:
    try:
        check_timezone(name)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or repr(name) in said


# Fire times


def schedule(cron: str, timezone: str = "UTC", catch_up: timedelta = 36 * HOUR) -> Schedule:
    return Schedule(cron, timezone, catch_up)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(one: Schedule, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda instant: instant <= until, one.fire_times(after)))


def test_weekdays_are_numbered_as_in_crontab() -> None:
    week = [instant.strftime("%a") for instant in islice(schedule("0 12 * * 1-5").fire_times(at("2026-03-01")), 6)]

    assert week == ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon"]
    for line in ("0 12 * * 0", "0 12 * * 7", "0 12 * * sun", "0 12 * * SUN"):
        assert schedule(line).next(at("2026-03-02")) == at("2026-03-08T12:00")


def test_a_day_of_the_month_and_a_weekday_are_either_or_as_in_crontab() -> None:
    days = [instant.day for instant in islice(schedule("0 0 13 * fri").fire_times(at("2026-03-01")), 4)]

    assert days == [6, 13, 20, 27]
    assert schedule("0 0 13 * fri").next(at("2026-04-11")) == at("2026-04-13")


def test_a_schedule_fires_by_the_clocks_of_its_zone() -> None:
    closing = schedule("30 18 * * mon-fri", "America/New_York")

    assert closing.next(at("2026-03-06T12:00")) == at("2026-03-06T23:30")
    assert closing.next(at("2026-03-06T23:30")) == at("2026-03-09T22:30")  # clocks went forward on Sunday


def test_a_schedule_is_stored_under_one_name_however_its_line_is_spelt() -> None:
    assert str(schedule("30 18 * * mon-fri", "America/New_York")) == "30 18 * * mon-fri America/New_York"
    assert str(schedule(" 30  18 * * mon-fri ")) == "30 18 * * mon-fri UTC"
    assert str(schedule("@Daily")) == "0 0 * * * UTC"


@pytest.mark.parametrize("line", ALIASES)
def test_an_alias_fires_as_its_line_does(line: str) -> None:
    after = at("2026-03-01T12:00")

    assert schedule(line).next(after) == schedule(ALIASES[line]).next(after)


def test_the_next_fire_time_is_later_than_the_given_instant_to_the_microsecond() -> None:
    noon, moment = at("2026-03-01T12:00"), timedelta.resolution

    assert schedule("0 12 * * *").next(noon - moment) == noon
    assert schedule("0 12 * * *").next(noon) == noon + DAY
    assert schedule("0 12 * * *").next(noon + moment) == noon + DAY


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Midway"])
def test_fire_times_end_with_the_calendar(zone: str) -> None:
    last_days = list(schedule("0 * * * *", zone).fire_times(at("9999-12-29T12:00")))

    assert 2 * 24 - 14 < len(last_days) < 3 * 24
    assert schedule("0 0 29 2 *", zone).next(at("9998-01-01")) is None


# Through changes of clocks


CHANGING = [
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Africa/Cairo",
    "Asia/Beirut", "America/Santiago", "America/Havana", "America/Asuncion", "America/Nuuk", "America/St_Johns",
    "Pacific/Chatham", "Asia/Almaty", "Pacific/Easter",
]  # fmt: skip
"""Zones that change by an hour and by others, at night, at midnight, and an hour or two before it."""


def changes(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the minutes at which the zone's offset is another than a minute before."""
    for before, after in pairwise(first + n * 6 * HOUR for n in range((last - first) // (6 * HOUR) + 1)):
        low, high = before, after
        if low.astimezone(zone).utcoffset() == high.astimezone(zone).utcoffset():
            continue
        while high - low > MINUTE:
            middle = low + (high - low) // MINUTE // 2 * MINUTE
            if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                low = middle
            else:
                high = middle
        yield high


@cache
def reached(zone: ZoneInfo, after: datetime, until: datetime) -> dict[datetime, datetime]:
    """Return when clocks in the zone first show each local time, or first show a later one: walked minute by minute."""
    latest = after.astimezone(zone).replace(tzinfo=None)
    found = {}
    for number in range(1, (until - after) // MINUTE + 1):
        instant = after + number * MINUTE
        shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        while latest < shown:
            latest += MINUTE
            found[latest] = instant
    return found


def assert_daily_lines_fire_once_a_day(name: str, change: datetime, hours: list[int], minutes: range) -> None:
    after, until = change - 2 * DAY, change + 2 * DAY
    by_time: dict[tuple[int, int], list[datetime]] = {}
    for local, instant in reached(ZoneInfo(name), after, until).items():
        by_time.setdefault((local.hour, local.minute), []).append(instant)
    for hour in hours:
        for minute in minutes:
            fired = between(schedule(f"{minute} {hour} * * *", name), after, until)
            assert fired == by_time[hour, minute], f"{name}, {change}: {hour}:{minute}"


NIGHT = [0, 1, 2, 3, 4, 22, 23]
THIS_YEAR = at("2024-01-01"), at("2025-01-01")
CHANGES = [(name, change) for name in CHANGING for change in changes(ZoneInfo(name), *THIS_YEAR)]


def test_there_are_changes_of_clocks_to_test() -> None:
    assert len(CHANGES) >= 2 * len(CHANGING) - 2


@pytest.mark.parametrize(("name", "change"), [*CHANGES, ("Antarctica/Casey", at("2020-10-03T16:01"))], ids=str)
def test_a_daily_line_fires_once_a_day_through_every_change_of_clocks(name: str, change: datetime) -> None:
    assert_daily_lines_fire_once_a_day(name, change, NIGHT, range(0, 60, 15))
    assert_daily_lines_fire_once_a_day(name, change, [23], range(59, 60))


def test_a_skipped_time_fires_right_after_the_change_and_a_repeated_one_the_first_time() -> None:
    new_york = "America/New_York"

    assert schedule("30 2 * * *", new_york).next(at("2026-03-08T05:00")) == at("2026-03-08T07:00")
    assert schedule("30 1 * * *", new_york).next(at("2026-11-01T04:00")) == at("2026-11-01T05:30")
    assert schedule("30 1 * * *", new_york).next(at("2026-11-01T06:15")) == at("2026-11-02T06:30")


def test_times_skipped_together_fire_once() -> None:
    skipped = between(schedule("0,20,40 2,3 * * *", "Europe/Berlin"), at("2026-03-29"), at("2026-03-29T12:00"))

    assert skipped == [at("2026-03-29T01:00"), at("2026-03-29T01:20"), at("2026-03-29T01:40")]


def test_a_day_that_a_zone_skips_fires_once() -> None:
    """Samoa had no 30 December 2011."""
    fired = between(schedule("0 12 * * *", "Pacific/Apia"), at("2011-12-29T00:00"), at("2012-01-01T12:00"))

    assert fired == [at("2011-12-29T22:00"), at("2011-12-30T10:00"), at("2011-12-30T22:00"), at("2011-12-31T22:00")]


WILD: dict[str, Callable[[datetime], bool]] = {
    "0 * * * *": lambda local: local.minute == 0,
    "*/15 * * * *": lambda local: local.minute % 15 == 0,
    "*/15 0 * * *": lambda local: local.minute % 15 == 0 and local.hour == 0,
    "*/15 0 * * sun": lambda local: local.minute % 15 == 0 and local.hour == 0 and local.weekday() == 6,
    "*/30 */2 * * *": lambda local: local.minute % 30 == 0 and local.hour % 2 == 0,
    "5 * * * sun": lambda local: local.minute == 5 and local.weekday() == 6,
}


@pytest.mark.parametrize("line", WILD)
def test_a_line_with_a_star_for_minute_or_hour_follows_the_wall_clock(line: str) -> None:
    for name, change in [*CHANGES, ("Antarctica/Casey", at("2020-10-03T16:01"))]:
        minutes = [change + number * MINUTE for number in range(-15 * 60, 4 * 60)]
        shown = [instant for instant in minutes if WILD[line](instant.astimezone(ZoneInfo(name)))]

        assert between(schedule(line, name), minutes[0] - MINUTE, minutes[-1]) == shown, f"{name}, {change}"


@pytest.mark.parametrize("line", ["*/15 * * * *", "59 * * * *", "30 1 * * *", "0,30 0,2,23 * * *"])
def test_starting_within_a_skipped_or_repeated_hour_loses_and_repeats_nothing(line: str) -> None:
    for name, change in CHANGES:
        fired = between(schedule(line, name), change - 4 * HOUR, change + 3 * HOUR)
        for number in range(-3, 4):
            begin = change + number * 40 * MINUTE
            later = between(schedule(line, name), begin, change + 3 * HOUR)

            assert later == [instant for instant in fired if instant > begin], f"{name}, {begin}"


@pytest.mark.parametrize(("first", "last"), [("2026-03-22", "2026-04-05"), ("2026-10-18", "2026-11-01")])
def test_quarters_of_an_hour_are_all_of_one_length_where_clocks_change_by_hours(first: str, last: str) -> None:
    quarters = between(schedule("*/15 * * * *", "Asia/Beirut"), at(first), at(last))

    assert len(quarters) == 14 * 24 * 4
    assert {later - earlier for earlier, later in pairwise(quarters)} == {15 * MINUTE}


@hypothesis_settings(max_examples=60)
@given(
    change=st.sampled_from(CHANGES),
    line=st.sampled_from(["30 1 * * *", "0 0 * * *", "59 23 * * *", "7,37 0-3,22 * * *", "0 2 * * sun", *WILD]),
    earlier=st.integers(-2 * 1440, 300),
    later=st.integers(1, 1440),
    moment=st.sampled_from([timedelta(), timedelta(seconds=30), timedelta.resolution, -timedelta.resolution]),
)
@example(("Africa/Cairo", at("2024-10-31T21:00")), "1 23 * * *", -1440, 1440, timedelta())
def test_fire_times_do_not_depend_on_the_start(
    change: tuple[str, datetime], line: str, earlier: int, later: int, moment: timedelta
) -> None:
    name, instant = change
    begin = instant + earlier * MINUTE
    begin_later, until = begin + later * MINUTE + moment, instant + 2 * DAY

    fired = between(schedule(line, name), begin, until)

    assert between(schedule(line, name), begin_later, until) == [one for one in fired if one > begin_later]


FIRST_DAY, LAST_DAY = at("2020-01-01"), at("2038-01-01")


@pytest.fixture(scope="session")
def every_zone() -> dict[str, list[datetime]]:
    """Return the changes of each zone from 2020 to 2037: of several with the same ones, those of one."""
    found: dict[object, tuple[str, list[datetime]]] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        of_zone = list(changes(zone, FIRST_DAY, LAST_DAY))
        offsets = tuple((change, change.astimezone(zone).utcoffset()) for change in (FIRST_DAY, *of_zone))
        found.setdefault(offsets, (name, of_zone))
    return dict(found.values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_daily_line_of_the_night_fires_once_a_day_through_every_change_of_every_zone(
    every_zone: dict[str, list[datetime]],
) -> None:
    assert sum(map(len, every_zone.values())) > 1000
    for name, of_zone in every_zone.items():
        for change in of_zone:
            assert_daily_lines_fire_once_a_day(name, change, NIGHT, range(60))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("time", ["0 0", "30 0", "30 1", "30 2", "30 3", "59 23"])
def test_a_daily_line_fires_once_on_every_day_of_18_years(every_zone: dict[str, list[datetime]], time: str) -> None:
    minute, hour = map(int, time.split())
    for name, of_zone in every_zone.items():
        zone = ZoneInfo(name)
        fired = between(schedule(f"{time} * * *", name), FIRST_DAY, LAST_DAY)
        first = fired[0].astimezone(zone).replace(tzinfo=None, hour=hour, minute=minute)
        for number, instant in enumerate(fired):
            late = instant.astimezone(zone).replace(tzinfo=None) - (first + number * DAY)
            assert late == timedelta() or (instant in of_zone and timedelta() < late <= 3 * HOUR), (name, instant)
        assert LAST_DAY - fired[-1] <= 25 * HOUR


# The newest fire time, and those that were missed


def test_the_newest_fire_time_is_to_run_and_those_before_it_were_missed() -> None:
    past = past_fire_times(
        schedule("0 12 * * *", catch_up=36 * HOUR), since=at("2026-03-01T12:00"), now=at("2026-03-04T18:00")
    )

    assert past.newest == at("2026-03-04T12:00")
    assert list(past.missed) == [at("2026-03-02T12:00"), at("2026-03-03T12:00")]
    assert list(past.missed) == list(past.missed)


def test_a_fire_time_that_is_too_old_was_missed_too() -> None:
    daily = schedule("0 12 * * *", catch_up=5 * HOUR)

    assert past_fire_times(daily, since=at("2026-03-03T12:00"), now=at("2026-03-04T17:00")).newest == at(
        "2026-03-04T12:00"
    )
    past = past_fire_times(daily, since=at("2026-03-02T12:00"), now=at("2026-03-04T17:00:00.000001"))
    assert past.newest is None
    assert list(past.missed) == [at("2026-03-03T12:00"), at("2026-03-04T12:00")]


def test_neither_earlier_nor_future_fire_times_are_included() -> None:
    daily, noon = schedule("0 12 * * *"), at("2026-03-03T12:00")

    assert past_fire_times(daily, since=noon - DAY, now=noon).newest == noon
    for since, now in ((noon, noon), (noon, noon + HOUR), (noon - HOUR, noon - MINUTE), (noon + DAY, noon)):
        past = past_fire_times(daily, since=since, now=now)
        assert (past.newest, list(past.missed)) == (None, [])


def test_without_catching_up_a_fire_time_that_is_only_just_past_is_run() -> None:
    daily, noon = schedule("0 12 * * *", catch_up=timedelta()), at("2026-03-03T12:00")

    assert past_fire_times(daily, since=noon - DAY, now=noon + ON_TIME).newest == noon
    assert past_fire_times(daily, since=noon - DAY, now=noon + ON_TIME + MINUTE).newest is None


@pytest.mark.timeout(5)
def test_after_ten_years_of_minutes_the_newest_is_found_at_once_and_the_missed_come_one_by_one() -> None:
    now = at("2026-03-03T12:00:30")

    past = past_fire_times(schedule("* * * * *", "Europe/Berlin", 3650 * DAY), since=now - 3650 * DAY, now=now)

    assert past.newest == at("2026-03-03T12:00")
    assert list(islice(past.missed, 2)) == [at("2016-03-05T12:01"), at("2016-03-05T12:02")]


@pytest.mark.timeout(5)
def test_a_line_that_fires_once_in_years_is_caught_up_years_later() -> None:
    past = past_fire_times(schedule("0 0 29 2 *", catch_up=3650 * DAY), since=at("2017-01-01"), now=at("2027-12-31"))

    assert past.newest == at("2024-02-29")
    assert list(past.missed) == [at("2020-02-29")]


@hypothesis_settings(max_examples=100)
@given(
    line=st.sampled_from(["30 1 * * *", "0 * * * *", "7 3 * * mon", "0 0 1 * *", "*/20 2 * * *"]),
    change=st.sampled_from(CHANGES),
    since=st.integers(-20_000, 2_000),
    gap=st.integers(-100, 30_000),
    catch_up=st.integers(0, 500),
)
def test_every_fire_time_is_run_or_missed_and_none_is_both(
    line: str, change: tuple[str, datetime], since: int, gap: int, catch_up: int
) -> None:
    one = schedule(line, change[0], catch_up * HOUR)
    begin = change[1] + since * MINUTE
    now = begin + gap * MINUTE

    past = past_fire_times(one, since=begin, now=now)

    fired = between(one, begin, now)
    is_to_run = fired[-1:] if fired and now - fired[-1] <= max(one.catch_up, ON_TIME) else []
    assert [*past.missed, *is_to_run] == fired
    assert past.newest == (is_to_run[0] if is_to_run else None)

"""Full passes: how long it takes until each symbol was observed once more, by list, plan and schedule."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.quota.full_pass import Load, Pace, full_pass, most_symbols, smallest_plan
from pipeline.quota.limits import PERIODS, PLANS, Limit
from pipeline.schedule.cron import Schedule

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEEKDAYS, DAILY, WEEKLY = "30 18 * * mon-fri", "0 12 * * *", "0 0 * * 0"
FREE = Pace((PLANS["free"],), resumes=True, longest_wait=2 * MINUTE)
FREE_ONCE = Pace((PLANS["free"],), resumes=False, longest_wait=2 * MINUTE)


def schedule(line: str, timezone: str = "America/New_York") -> Schedule:
    return Schedule(line, timezone, timedelta())


def load(symbols: int, line: str = WEEKDAYS) -> Load:
    return Load(symbols, (schedule(line),))


@pytest.mark.parametrize(
    ("symbols", "line", "pace", "expected"),
    [
        (8638, WEEKDAYS, FREE, 346 * DAY),  # 8,638 / 25 = 345.5
        (8638, DAILY, FREE, 346 * DAY),
        (8638, DAILY, FREE_ONCE, 346 * DAY),
        (5, WEEKDAYS, FREE, 3 * DAY),  # from Friday to Monday
        (75, WEEKDAYS, FREE, 3 * DAY),
        (76, WEEKDAYS, FREE, 4 * DAY),
        (50, WEEKDAYS, FREE_ONCE, 4 * DAY),  # observed on Thursday; Friday has the other half; so on Monday
        (25, DAILY, FREE, DAY),
        (26, DAILY, FREE, 2 * DAY),
        (5, WEEKLY, FREE, 7 * DAY),
        (26, WEEKLY, FREE, 7 * DAY),
        (26, WEEKLY, FREE_ONCE, 14 * DAY),
        (1, "@monthly", FREE, 31 * DAY),
        (1, "@yearly", FREE, 366 * DAY),
        (6, "0 */6 * * *", FREE, 6 * HOUR),  # four times 6 are 24
        (7, "0 */6 * * *", FREE, 12 * HOUR),
        (8638, DAILY, Pace((PLANS["premium-75"],), resumes=True, longest_wait=2 * MINUTE), DAY),
        (150, "* * * * *", Pace((PLANS["premium-75"],), resumes=True, longest_wait=2 * MINUTE), 2 * MINUTE),
        (10**6, DAILY, FREE, 40_000 * DAY),
        (10**6, DAILY, Pace((), resumes=True, longest_wait=2 * MINUTE), DAY),
        (100, DAILY, Pace((PLANS["free"],) * 2, resumes=True, longest_wait=2 * MINUTE), 2 * DAY),
        (100, DAILY, Pace((PLANS["free"], PLANS["premium-75"]), resumes=True, longest_wait=2 * MINUTE), DAY),
        (100, DAILY, Pace((PLANS["free"], ()), resumes=True, longest_wait=2 * MINUTE), DAY),
        (5, "* 9-16 * * mon-fri", FREE, 64 * HOUR + MINUTE),  # from 16:59 on Friday to 09:00 on Monday
        (0, DAILY, FREE, timedelta()),
    ],
)
def test_a_full_pass_takes_what_list_plan_and_schedule_make_of_it(
    symbols: int, line: str, pace: Pace, expected: timedelta
) -> None:
    assert (
        abs(full_pass([load(symbols, line)], pace) - expected) <= expected * 0.002  # a long pass is estimated
    )  # the last is in proportion to a part of it


def test_changing_clocks_make_no_difference() -> None:
    zones = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")

    assert {full_pass([Load(5, (schedule(WEEKDAYS, zone),))], FREE) for zone in zones} == {3 * DAY}


def test_lists_of_several_schedules_share_the_windows() -> None:
    """Each alone fits into its day or week; together they need 29 requests on Sundays."""
    often, rarely = load(4, DAILY), load(25, WEEKLY)

    assert full_pass([often], FREE) == DAY
    assert full_pass([rarely], FREE) == 7 * DAY
    assert full_pass([often, rarely], FREE) == 7 * DAY
    assert full_pass([load(20, DAILY), load(20, DAILY)], FREE) == full_pass([load(40, DAILY)], FREE) == 2 * DAY
    assert full_pass([Load(5, (schedule(DAILY), schedule("0 18 * * *")))], FREE) == 18 * HOUR


plans = st.lists(
    st.builds(Limit, st.integers(1, 30), st.sampled_from([PERIODS["minute"], PERIODS["hour"], PERIODS["day"]])),
    max_size=2,
).map(tuple)
paces = st.builds(
    Pace,
    plans=st.lists(plans, min_size=1, max_size=3).map(tuple),
    resumes=st.booleans(),
    longest_wait=st.sampled_from([timedelta(), 2 * MINUTE, DAY]),
)
lines = st.sampled_from([WEEKDAYS, DAILY, WEEKLY, "0 */8 * * *", "0 9,12 * * mon,thu", "0 0 1,15 * *"])


def doubled(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    return tuple(Limit(2 * one.count, one.period) for one in limits)


def at_most_a_month(symbols: int, pace: Pace) -> bool:
    return all(symbols * limit.period / limit.count <= 30 * DAY for limits in pace.plans for limit in limits)


@given(symbols=st.integers(1, 60), line=lines, pace=paces)
def test_no_limit_is_exceeded_and_nothing_is_observed_between_fire_times(symbols: int, line: str, pace: Pace) -> None:
    """Of the requests between two observations of a symbol, no more than a limit's count fit into each period."""
    longest = full_pass([load(symbols, line)], pace)

    unlimited = full_pass([load(symbols, line)], Pace((), resumes=True, longest_wait=timedelta()))
    assert longest >= unlimited
    admitted = [
        min((limit.count * ((longest + MINUTE) // limit.period + 1) for limit in limits), default=symbols)
        for limits in pace.plans
    ]
    assert sum(admitted) >= symbols


@given(symbols=st.integers(1, 60), line=lines, pace=paces)
def test_a_longer_list_a_smaller_plan_and_not_resuming_never_take_less(symbols: int, line: str, pace: Pace) -> None:
    longest = full_pass([load(symbols, line)], pace)

    assert full_pass([load(symbols + 1, line)], pace) >= longest - MINUTE
    assert full_pass([load(symbols, line)], replace(pace, plans=(*pace.plans, pace.plans[0]))) <= longest + MINUTE
    resuming = Pace(pace.plans, resumes=True, longest_wait=pace.longest_wait)
    assert full_pass([load(symbols, line)], resuming) <= longest + MINUTE
    bigger = Pace(tuple(map(doubled, pace.plans)), pace.resumes, pace.longest_wait)
    assert full_pass([load(symbols, line)], bigger) <= longest + MINUTE


@given(symbols=st.integers(1, 300), line=lines, hours=st.integers(1, 400), pace=paces)
def test_the_longest_list_holds_and_one_symbol_more_does_not(symbols: int, line: str, hours: int, pace: Pace) -> None:
    threshold = hours * HOUR

    most = most_symbols(load(symbols, line), pace, threshold)

    assert 0 <= most <= symbols
    if most:
        assert full_pass([load(most, line)], pace) <= threshold
    if most < symbols:
        assert full_pass([load(most + 1, line)], pace) > threshold


def test_the_smallest_plan_is_the_first_with_which_it_holds() -> None:
    assert smallest_plan([load(25, DAILY)], FREE, DAY) == "free"
    assert smallest_plan([load(26, DAILY)], FREE, DAY) == "premium-75"
    assert smallest_plan([load(200_000, DAILY)], FREE, DAY) == "premium-150"
    assert smallest_plan([load(5, WEEKLY)], FREE, DAY) is None

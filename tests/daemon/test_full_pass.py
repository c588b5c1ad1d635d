"""A full pass takes the daemon as long as is computed for it: otherwise a threshold that is said to hold would not."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.monitoring.heartbeat import PERIOD
from pipeline.quota.full_pass import Load, Pace, full_pass
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule
from tests.support.daemons import FIRST, SYMBOLS, DaemonClock, DaemonHarness, rows
from tests.support.sandbox import Served

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WEEKDAYS = Schedule("30 18 * * mon-fri", "UTC", timedelta(hours=36), None)
THREE_DAYS_A_WEEK = Schedule("30 18 * * mon,wed,fri", "UTC", timedelta(hours=36), None)


@pytest.mark.parametrize(
    ("schedule", "pace", "expected"),
    [
        (WEEKDAYS, Pace(((Limit(1, DAY),),), resumes=True, longest_wait=2 * MINUTE), 3 * DAY),
        (THREE_DAYS_A_WEEK, Pace(((Limit(1, DAY),),), resumes=True, longest_wait=2 * MINUTE), 3 * DAY),
        (THREE_DAYS_A_WEEK, Pace(((Limit(2, DAY),),), resumes=False, longest_wait=2 * MINUTE), 5 * DAY),
        (THREE_DAYS_A_WEEK, Pace(((Limit(1, DAY),),) * 2, resumes=False, longest_wait=2 * MINUTE), 5 * DAY),
    ],
)
async def test_the_daemon_observes_each_symbol_as_often_as_is_computed(
    database: Path, served: Served, schedule: Schedule, pace: Pace, expected: timedelta
) -> None:
    keys = tuple(ApiKey(str(number), f"key-{number}", limits) for number, limits in enumerate(pace.plans))
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, schedules=(schedule,), keys=keys, resumes=pace.resumes)

    async with harness.running() as daemon:
        while clock.wall < FIRST + 9 * DAY:
            coming = filter(None, (schedule.next(clock.wall), daemon.status.heartbeat.resumes_at))
            await harness.until(max(min(coming), clock.wall) + PERIOD)

    assert full_pass([Load(len(SYMBOLS), (schedule,))], pace) == expected
    assert abs(longest_interval(database) - expected) <= 30 * MINUTE  # a heartbeat and a minute at each resumption


def longest_interval(database: Path) -> timedelta:
    """Return the longest time between two observations of one symbol."""
    seen = defaultdict[str, list[datetime]](list)
    for symbol, at in rows(database, "SELECT symbol, at FROM outcomes WHERE outcome IN ('stored', 'unchanged')"):
        seen[symbol].append(instants.from_text(at))
    return max(later - earlier for times in seen.values() for earlier, later in pairwise(sorted(times)))

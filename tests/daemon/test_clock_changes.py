"""The nights on which clocks change: each fire time is one row."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.schedule.cron import Schedule
from tests.support.daemons import SYMBOLS, DaemonClock, DaemonHarness, rows, runs
from tests.support.sandbox import Served

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


IN_SPRING, IN_AUTUMN = "*/30 1,2,3 * * *", "*/30 2 * * *"
NIGHTS: list[tuple[str, str, dict[str, str]]] = [
    ("America/New_York", "2026-03-08", {"30 2 * * *": "07:00", IN_SPRING: "06:00 06:30 07:00 07:30"}),
    ("America/New_York", "2026-11-01", {"30 1 * * *": "05:30", "*/30 1 * * *": "05:00 05:30 06:00 06:30"}),
    ("Europe/Berlin", "2026-03-29", {"30 2 * * *": "01:00", IN_SPRING: "00:00 00:30 01:00 01:30"}),
    ("Europe/Berlin", "2026-10-25", {"30 2 * * *": "00:30", IN_AUTUMN: "00:00 00:30 01:00 01:30"}),
    ("Australia/Sydney", "2026-10-03", {"30 2 * * *": "16:00", IN_SPRING: "15:00 15:30 16:00 16:30"}),
    ("Australia/Sydney", "2026-04-04", {"30 2 * * *": "15:30", IN_AUTUMN: "15:00 15:30 16:00 16:30"}),
    ("Australia/Lord_Howe", "2026-10-03", {"15 2 * * *": "15:30", "*/15 2 * * *": "15:30 15:45"}),
    (
        "Australia/Lord_Howe",
        "2026-04-04",
        {"45 1 * * *": "14:45", "*/15 1 * * *": "14:00 14:15 14:30 14:45 15:00 15:15"},
    ),
]
"""The zone, the day in UTC on which its clocks change, and when each cron line fires then."""


@pytest.mark.parametrize(
    ("zone", "day", "lines", "asleep"),
    [
        *(pytest.param(*night, False, id=f"{night[0]} {night[1]} awake") for night in NIGHTS),
        *(pytest.param(*night, True, id=f"{night[0]} {night[1]} asleep") for night in NIGHTS[-2:]),
    ],
)
async def test_each_fire_time_of_a_night_on_which_clocks_change_is_one_row(
    database: Path,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    *,
    zone: str,
    day: str,
    lines: dict[str, str],
    asleep: bool,
) -> None:
    start = datetime.fromisoformat(f"{day}T00:00Z") - 3 * HOUR
    end = start + 22 * HOUR
    clock = DaemonClock(start)
    clock.drive_apscheduler(monkeypatch)
    schedules = tuple(Schedule(cron, zone, 36 * HOUR, SYMBOLS[:1]) for cron in lines)
    harness = DaemonHarness(database, served.base_url, clock, schedules=schedules)
    async with harness.running():
        before = len(runs(database, "id"))
        if asleep:
            clock.machine_sleeps(end - clock.wall - MINUTE)
        else:
            await harness.through(end - 2 * MINUTE)
        await harness.beat(2)

    for schedule, times in zip(schedules, lines.values(), strict=True):
        *others, last = (f"{day}T{time}:00.000Z" for time in times.split())
        status = "missed" if asleep else "complete"
        trigger = "catch_up" if asleep else "schedule"
        query = "SELECT scheduled_for, status, trigger FROM runs WHERE id > ? AND schedule = ? ORDER BY scheduled_for"
        assert rows(database, query, before, str(schedule)) == [
            *((at, status, "schedule") for at in others),
            (last, "complete", trigger),
        ]

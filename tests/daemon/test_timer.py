import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from pipeline.daemon.timer import Timer
from pipeline.schedule.cron import Schedule
from tests.support.clocks import START, ManualClock

MINUTE = timedelta(minutes=1)
EACH_MINUTE = Schedule("* * * * *", "UTC", timedelta(hours=1), None)


@pytest.fixture(autouse=True)
def _apscheduler_lives_in_our_time(monkeypatch: pytest.MonkeyPatch, hands: ManualClock) -> None:
    """It reads the clock of its own accord, at each turn: let it read ours."""

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Told":
            return cls.fromtimestamp(hands.wall.timestamp(), tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Told)


class Rung(asyncio.Event):
    """Hears the timer."""

    async def heard(self) -> None:
        async with asyncio.timeout(5):
            await self.wait()
        self.clear()


@pytest.fixture
def rung() -> Rung:
    return Rung()


@pytest.fixture
async def timer(rung: Rung) -> AsyncIterator[Timer]:
    timer = Timer(rung.set)
    timer.start()
    yield timer
    timer.stop()
    await asyncio.sleep(0)


async def turn(times: int = 5) -> None:
    """Let the loop go round, so that what was to happen has."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_it_rings_once_for_all_that_was_missed_and_then_at_the_next(
    timer: Timer, rung: Rung, hands: ManualClock
) -> None:
    timer.set([EACH_MINUTE])
    timer.wake()
    await turn()
    assert not rung.is_set()

    hands.passes(timedelta(days=400))
    timer.wake()
    await rung.heard()
    await turn()
    assert not rung.is_set()
    assert timer.overdue(hands.wall) == timedelta()

    hands.passes(MINUTE)
    timer.wake()
    await rung.heard()


async def test_set_anew_it_rings_for_the_new_schedules_alone(timer: Timer, rung: Rung, hands: ManualClock) -> None:
    timer.set([EACH_MINUTE])
    timer.set([Schedule("0 0 * * *", "UTC", timedelta(hours=1), None)])
    hands.passes(10 * MINUTE)
    timer.wake()
    await turn()
    assert not rung.is_set()

    hands.passes(timedelta(hours=6))
    timer.wake()
    await rung.heard()


async def test_after_the_clock_was_set_back_it_rings_by_the_new_time(
    timer: Timer, rung: Rung, hands: ManualClock
) -> None:
    timer.set([EACH_MINUTE])
    hands.is_set_by(-timedelta(days=30))
    timer.set([EACH_MINUTE])
    hands.passes(MINUTE)
    timer.wake()
    await rung.heard()


@dataclass
class Faulty:
    """A schedule that fails at times, as anything might that APScheduler calls."""

    faults: Iterator[bool]
    asked: list[datetime] = field(default_factory=list)

    def next(self, after: datetime) -> datetime:
        self.asked.append(after)
        if next(self.faults):
            raise RuntimeError("a fault")
        return after.astimezone(UTC) + MINUTE


async def test_a_timer_that_an_error_has_stopped_is_overdue_and_brought_back(
    timer: Timer, rung: Rung, hands: ManualClock
) -> None:
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: errors.append(str(told["exception"])))
    timer.set([Faulty(iter([False, True, False, False]))])  # type: ignore[list-item] # asked for its next alone
    await turn()
    hands.passes(2 * MINUTE)
    timer.wake()
    await turn()
    assert errors == ["a fault"]
    assert timer.overdue(hands.wall) == MINUTE

    rung.clear()
    timer.wake()
    await rung.heard()
    assert timer.overdue(hands.wall) == timedelta()


async def test_nothing_scheduled_is_nothing_overdue(timer: Timer) -> None:
    timer.set([])
    assert timer.overdue(START) == timedelta()

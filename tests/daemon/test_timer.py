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
def _apscheduler_lives_in_our_time(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """APScheduler reads the clock by itself: let it read the test's."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Now":
            return cls.fromtimestamp(clock.wall.timestamp(), tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Now)


class Fired(asyncio.Event):
    """Set when the timer fires."""

    async def happens(self) -> None:
        async with asyncio.timeout(30):
            await self.wait()
        self.clear()


@pytest.fixture
def fired() -> Fired:
    return Fired()


@pytest.fixture
async def timer(fired: Fired) -> AsyncIterator[Timer]:
    timer = Timer(fired.set)
    timer.start()
    yield timer
    timer.stop()
    await asyncio.sleep(0)


async def turn(times: int = 5) -> None:
    """Let the loop run its pending callbacks."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_it_fires_once_for_all_missed_fire_times_and_then_at_the_next(
    timer: Timer, fired: Fired, clock: ManualClock
) -> None:
    timer.set([EACH_MINUTE])
    timer.wake()
    await turn()
    assert not fired.is_set()

    clock.advance(timedelta(days=400))
    timer.wake()
    await fired.happens()
    await turn()
    assert not fired.is_set()
    assert timer.overdue(clock.wall) == timedelta()

    clock.advance(MINUTE)
    timer.wake()
    await fired.happens()


async def test_with_new_schedules_it_fires_for_these_only(timer: Timer, fired: Fired, clock: ManualClock) -> None:
    timer.set([EACH_MINUTE])
    timer.set([Schedule("0 0 * * *", "UTC", timedelta(hours=1), None)])
    clock.advance(10 * MINUTE)
    timer.wake()
    await turn()
    assert not fired.is_set()

    clock.advance(timedelta(hours=6))
    timer.wake()
    await fired.happens()


async def test_after_the_clock_was_set_back_it_fires_by_the_new_time(
    timer: Timer, fired: Fired, clock: ManualClock
) -> None:
    timer.set([EACH_MINUTE])
    clock.set_by(-timedelta(days=30))
    timer.set([EACH_MINUTE])
    clock.advance(MINUTE)
    timer.wake()
    await fired.happens()


@dataclass
class Faulty:
    """A schedule that fails at times, as anything might that APScheduler calls."""

    faults: Iterator[bool]
    calls: list[datetime] = field(default_factory=list)

    def next(self, after: datetime) -> datetime:
        self.calls.append(after)
        if next(self.faults):
            raise RuntimeError("a fault")
        return after.astimezone(UTC) + MINUTE


async def test_a_timer_stalled_by_an_error_is_overdue_and_revived(
    timer: Timer, fired: Fired, clock: ManualClock
) -> None:
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(str(context["exception"])))
    timer.set([Faulty(iter([False, True, False, False]))])  # type: ignore[list-item] # only its next is called
    await turn()
    clock.advance(2 * MINUTE)
    timer.wake()
    await turn()
    assert errors == ["a fault"]
    assert timer.overdue(clock.wall) == MINUTE

    fired.clear()
    timer.wake()
    await fired.happens()
    assert timer.overdue(clock.wall) == timedelta()


async def test_without_schedules_nothing_is_overdue(timer: Timer) -> None:
    timer.set([])
    assert timer.overdue(START) == timedelta()

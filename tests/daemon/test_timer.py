import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from pipeline.daemon.timer import Bell
from pipeline.schedule.cron import Schedule
from tests.support.clocks import START, Hands

MINUTE = timedelta(minutes=1)
EACH_MINUTE = Schedule("* * * * *", "UTC", timedelta(hours=1), None)


@pytest.fixture(autouse=True)
def _apscheduler_lives_in_our_time(monkeypatch: pytest.MonkeyPatch, hands: Hands) -> None:
    """It reads the clock of its own accord, at each turn: let it read ours."""

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Told":
            return cls.fromtimestamp(hands.wall.timestamp(), tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Told)


class Rung(asyncio.Event):
    """Hears the bell."""

    async def heard(self) -> None:
        async with asyncio.timeout(5):
            await self.wait()
        self.clear()


@pytest.fixture
def rung() -> Rung:
    return Rung()


@pytest.fixture
async def bell(rung: Rung) -> AsyncIterator[Bell]:
    bell = Bell(rung.set)
    bell.start()
    yield bell
    bell.stop()
    await asyncio.sleep(0)


async def turn(times: int = 5) -> None:
    """Let the loop go round, so that what was to happen has."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_it_rings_once_for_all_that_was_missed_and_then_at_the_next(bell: Bell, rung: Rung, hands: Hands) -> None:
    bell.set([EACH_MINUTE])
    bell.wake()
    await turn()
    assert not rung.is_set()

    hands.passes(timedelta(days=400))
    bell.wake()
    await rung.heard()
    await turn()
    assert not rung.is_set()
    assert bell.overdue(hands.wall) == timedelta()

    hands.passes(MINUTE)
    bell.wake()
    await rung.heard()


async def test_set_anew_it_rings_for_the_new_schedules_alone(bell: Bell, rung: Rung, hands: Hands) -> None:
    bell.set([EACH_MINUTE])
    bell.set([Schedule("0 0 * * *", "UTC", timedelta(hours=1), None)])
    hands.passes(10 * MINUTE)
    bell.wake()
    await turn()
    assert not rung.is_set()

    hands.passes(timedelta(hours=6))
    bell.wake()
    await rung.heard()


async def test_after_the_clock_was_set_back_it_rings_by_the_new_time(bell: Bell, rung: Rung, hands: Hands) -> None:
    bell.set([EACH_MINUTE])
    hands.is_set_by(-timedelta(days=30))
    bell.set([EACH_MINUTE])
    hands.passes(MINUTE)
    bell.wake()
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
    bell: Bell, rung: Rung, hands: Hands
) -> None:
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: errors.append(str(told["exception"])))
    bell.set([Faulty(iter([False, True, False, False]))])  # type: ignore[list-item] # asked for its next alone
    await turn()
    hands.passes(2 * MINUTE)
    bell.wake()
    await turn()
    assert errors == ["a fault"]
    assert bell.overdue(hands.wall) == MINUTE

    rung.clear()
    bell.wake()
    await rung.heard()
    assert bell.overdue(hands.wall) == timedelta()


async def test_nothing_scheduled_is_nothing_overdue(bell: Bell) -> None:
    bell.set([])
    assert bell.overdue(START) == timedelta()

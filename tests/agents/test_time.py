"""Time: which instants may be asked about, and that nothing later takes part, with a lock and without."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.agents.present import Present
from pipeline.agents.refusals import BadCall
from tests.support.agents import Agent, record_of
from tests.support.observations import after, text

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LOCK = datetime(2026, 3, 15, 23, 59, 59, 999_000, tzinfo=UTC)
UNLOCKED, LOCKED = Present(lambda: NOW), Present(lambda: NOW, LOCK)


@pytest.mark.parametrize(
    ("present", "asked", "at"),
    [
        (UNLOCKED, "2026-03-14", datetime(2026, 3, 14, 23, 59, 59, 999_000, tzinfo=UTC)),
        (UNLOCKED, "2026-03-14T18:30+02:00", datetime(2026, 3, 14, 16, 30, tzinfo=UTC)),
        (UNLOCKED, "now", NOW),
        (UNLOCKED, "7d", NOW - timedelta(days=7)),
        (UNLOCKED, "today", NOW),
        (UNLOCKED, "2026-03-20", NOW),
        (LOCKED, "now", LOCK),
        (LOCKED, "today", LOCK),
        (LOCKED, "2026-03-15", LOCK),
        (LOCKED, "7d", LOCK - timedelta(days=7)),
        (LOCKED, "2026-03-14", datetime(2026, 3, 14, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_the_present_is_now_or_the_lock_and_spans_count_from_it(present: Present, asked: str, at: datetime) -> None:
    assert present.bound("at", asked) == at


@pytest.mark.parametrize("asked", ["2026-03-21", "2026-03-20T12:01Z", "2030-01-01"])
def test_the_future_is_refused(asked: str) -> None:
    with pytest.raises(BadCall, match=r"in the future.*at='now'"):
        UNLOCKED.bound("at", asked)


@pytest.mark.parametrize("asked", ["2026-03-16T00:00Z", "2026-03-16", "2026-03-20", "2030-01-01"])
def test_what_is_after_the_lock_is_refused_with_the_latest_instant_that_is_not(asked: str) -> None:
    with pytest.raises(BadCall, match=r"after the lock.*2026-03-15T23:59:59.999Z"):
        LOCKED.bound("until", asked)


def test_today_under_a_lock_ends_at_the_lock_and_its_date_is_refused() -> None:
    noon = Present(lambda: NOW, LOCK.replace(hour=12))

    assert noon.bound("at", "today") == noon.lock
    with pytest.raises(BadCall, match="after the lock"):
        noon.bound("at", "2026-03-15")


def test_a_lock_in_the_future_does_not_open_the_future() -> None:
    assert Present(lambda: NOW, NOW + timedelta(days=1)).instant() == NOW


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("companies", {}),
    ("overview", {"symbols": ["AAPL"]}),
    ("history", {"symbol": "AAPL"}),
    ("changes", {"since": "2026-01-01"}),
    ("vintages", {"symbol": "AAPL"}),
    ("panel", {"since": "2026-03-01", "fields": ["pe_ratio"], "every": "1d"}),
    ("status", {}),
]
"""A call of each tool."""


def _bounded(tool: str, arguments: dict[str, Any], at: str) -> dict[str, Any]:
    return {**arguments, "until" if tool in ("history", "changes", "panel") else "at": at}


@pytest.mark.parametrize(("tool", "arguments"), CALLS)
async def test_under_a_lock_no_tool_answers_for_later(known: Path, tool: str, arguments: dict[str, Any]) -> None:
    locked = Agent(record_of(known, now=after(192), lock=after(12)))

    for at in (text(12.1), "2026-03-15", "2026-03-19"):
        error = await locked.error(tool, **_bounded(tool, arguments, at))
        assert f"open up to {text(12)}" in error


@pytest.mark.parametrize(("tool", "arguments"), CALLS)
async def test_under_a_lock_now_is_the_locks_instant(known: Path, tool: str, arguments: dict[str, Any]) -> None:
    locked, unlocked = Agent(record_of(known, now=after(192), lock=after(12))), Agent(record_of(known, now=after(192)))

    answer = await locked(tool, **_bounded(tool, arguments, "now"))
    expected = await unlocked(tool, **_bounded(tool, arguments, text(12)))

    assert answer.pop("locked_at", None) == (text(12) if tool == "status" else None)
    assert answer == expected
    assert answer["at"] == text(12)

"""Time: which instants may be asked about, and that nothing later takes part, with a lock and without."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import Agent, record_of
from tests.support.observations import after, text

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

    for at in (text(12.1), "2026-03-16", "2026-03-19"):
        error = await locked.error(tool, **_bounded(tool, arguments, at))
        assert f"open up to {text(12)}" in error


@pytest.mark.parametrize(("tool", "arguments"), CALLS)
async def test_under_a_lock_now_is_the_locks_instant(known: Path, tool: str, arguments: dict[str, Any]) -> None:
    locked, unlocked = Agent(record_of(known, now=after(192), lock=after(12))), Agent(record_of(known, now=after(192)))

    answer = await locked(tool, **_bounded(tool, arguments, "now"))
    assert await locked(tool, **_bounded(tool, arguments, "2026-03-15")) == answer  # its day is not over
    expected = await unlocked(tool, **_bounded(tool, arguments, text(12)))

    assert answer.pop("locked_at", None) == (text(12) if tool == "status" else None)
    assert answer == expected
    assert answer["at"] == text(12)

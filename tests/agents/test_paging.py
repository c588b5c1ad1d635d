"""Paging: long answers come in pages, each of the same answer, and each says that there is more."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.agents.paging import LARGEST_PAGE, page
from tests.support.agents import Agent, record_of
from tests.support.observations import after, database_of, seen, text

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("companies", "companies", {"at": "now"}),
    ("history", "versions", {"until": "now", "symbol": "AAPL"}),
    ("changes", "changes", {"until": "now", "since": "2026-01-01"}),
    ("vintages", "vintages", {"at": "now", "symbol": "AAPL"}),
    ("panel", "cells", {"until": "now", "since": "2026-03-20", "every": "1d", "fields": ["eps", "pe_ratio"]}),
]


@pytest.mark.parametrize(("tool", "rows", "asked"), CALLS)
async def test_the_pages_together_are_the_whole_answer(
    agent: Agent, tool: str, rows: str, asked: dict[str, Any]
) -> None:
    whole = await agent(tool, **asked)

    found, cursor = [], None
    for _ in whole[rows]:
        answer = await agent(tool, **asked, limit=1, cursor=cursor)
        assert 1 <= len(answer[rows]) <= 3
        found += answer[rows]
        cursor = answer.get("next_cursor")
        if cursor is None:
            break
    assert cursor is None
    assert found == whole[rows]
    assert len(found) > 1


async def test_the_text_of_a_page_says_how_to_get_the_rest(agent: Agent) -> None:
    lines = await agent.text("companies", at="now", limit=2)

    cursor = (await agent("companies", at="now", limit=2))["next_cursor"]
    assert "2 of 3 companies" in lines
    assert f"cursor='{cursor}'" in lines[-1]


async def test_later_pages_are_of_the_same_instant_though_it_was_asked_for_now(known: Path) -> None:
    first = Agent(record_of(known, now=after(12)))
    cursor = (await first("companies", at="now", limit=1))["next_cursor"]

    later = Agent(record_of(known, now=after(100)))
    answer = await later("companies", at="now", limit=100, cursor=cursor)

    assert answer["at"] == text(12)
    assert [one["symbol"] for one in answer["companies"]] == ["PEP"]


@pytest.mark.parametrize(
    ("tool", "rows", "fields"), [("panel", "cells", {"fields": ["eps"]}), ("changes", "changes", {})]
)
async def test_later_pages_count_back_from_the_same_present(
    known: Path, tool: str, rows: str, fields: dict[str, Any]
) -> None:
    first, later = (Agent(record_of(known, now=after(hours))) for hours in (100, 200))
    asked = {"until": text(100), "since": "101h", **fields}
    whole = await first(tool, **asked)
    cursor = (await first(tool, **asked, limit=1))["next_cursor"]

    answer = await later(tool, **asked, limit=1_000, cursor=cursor)

    assert len(whole[rows]) > 1
    assert answer[rows] == whole[rows][-len(answer[rows]) :]
    assert len(answer[rows]) >= len(whole[rows]) - 3


async def test_a_cursor_of_another_question_is_refused(agent: Agent) -> None:
    cursor = (await agent("companies", at="now", limit=1))["next_cursor"]

    assert "other arguments" in await agent.error("companies", at="now", sector="CONSUMER", limit=1, cursor=cursor)
    assert "other arguments" in await agent.error("changes", until="now", limit=1, cursor=cursor)
    for text_of_none in ("2", "next", "1.2.3", f"{cursor}0", "ffffffffffff.ffffffffffff.ffffffffffff.00000000"):
        assert "cursor" in await agent.error("companies", at="now", limit=1, cursor=text_of_none)


async def test_a_cursor_does_not_lead_around_a_lock(known: Path) -> None:
    later = Agent(record_of(known, now=after(100)))
    cursor = (await later("companies", at="now", limit=1))["next_cursor"]

    locked = Agent(record_of(known, now=after(100), lock=after(12)))

    assert "invalid cursor" in await locked.error("companies", at="now", limit=1, cursor=cursor)


@pytest.fixture(scope="module")
def wordy() -> Agent:
    """An agent that asks about forty companies with long names."""
    database = database_of([seen(0, f"S{number}", Name=f"{number} {'x' * 3000}") for number in range(40)])
    return Agent(record_of(database, now=after(1)))


async def test_a_page_ends_before_an_agent_cannot_read_it_any_more(wordy: Agent) -> None:
    answer = await wordy("companies", at="now", limit=1000)

    assert len(answer["companies"]) == 10
    assert answer["next_cursor"]


def test_a_row_that_is_too_large_is_a_page_by_itself() -> None:
    large = "x" * LARGEST_PAGE
    assert page([large, large], 0, 10).rows == [large]
    assert page([large, large], 1, 10).next_offset is None

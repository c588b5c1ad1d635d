"""The lock of a site, proven: two databases that differ only after it give the same bytes at every address."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.instants import to_text
from pipeline.query import horizon, open_database
from pipeline.query.history import History
from pipeline.query.horizon import Horizon
from tests.support.crawl import INSTANTS, Request, all_paths, differences, requests
from tests.support.observations import after
from tests.support.site import SiteClient, served
from tests.support.two_futures import LOCK, LOCKED_AT, RICH, Futures, forgetful, futures

CLOCK = after(LOCK + 500)
"""What the clock shows: later than all that happened."""


@pytest.fixture(scope="module")
def rich() -> tuple[Path, Path]:
    return RICH.databases()


@asynccontextmanager
async def both(
    databases: Sequence[Path], lock: datetime | None = LOCKED_AT
) -> AsyncIterator[tuple[SiteClient, SiteClient]]:
    one, other = databases
    async with (
        served(one, lock=lock, now=lambda: CLOCK) as first,
        served(other, lock=lock, now=lambda: CLOCK) as second,
    ):
        yield first, second


_OF_LATER = ("", "/companies/NEW", "/api/v1/runs/3")
"""The first page, and those of what came only after the lock."""


async def _check(databases: Sequence[Path], asked: Sequence[Request], *, most: int = 0) -> None:
    async with both(databases) as (one, other):
        assert [found async for found in differences(one, other, asked, most=most)] == []


async def test_addresses_of_the_past_are_the_same_without_a_lock(rich: tuple[Path, Path]) -> None:
    at_the_lock = f"/as-of/{to_text(LOCKED_AT)}"
    asked = [*_all(at_the_lock), *(Request(f"{at_the_lock}{path}") for path in _OF_LATER)]
    async with both(rich, lock=None) as (one, other):
        assert [found async for found in differences(one, other, asked, most=120, below=at_the_lock)] == []


def _all(*prefixes: str, symbol: str = "A", run: str = "2") -> list[Request]:
    return [Request(path) for path in all_paths(prefixes, symbols=[symbol], runs=[run])]


async def test_every_address_and_every_link_answers_the_same(rich: tuple[Path, Path]) -> None:
    (before, *others) = INSTANTS
    asked = [*_all("", f"/as-of/{before}"), *_all("", symbol="NEW", run="3")]
    asked += [Request(f"/as-of/{one}{path}") for one in others for path in _OF_LATER]
    await _check(rich, asked, most=215)


@settings(max_examples=3)
@given(futures(), st.lists(requests(), min_size=60, max_size=60))
def test_whatever_happened_later_changes_no_answer(happened: Futures, asked: Sequence[Request]) -> None:
    asyncio.run(_check(happened.databases(), asked))


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=60)
@given(futures(), st.lists(requests(), min_size=100, max_size=100))
def test_nor_does_it_in_many_more_cases(happened: Futures, asked: Sequence[Request]) -> None:
    asyncio.run(_check(happened.databases(), asked, most=300))


# Mutants: each must be noticed.


async def _is_noticed(databases: Sequence[Path]) -> bool:
    async with both(databases) as (one, other):
        async for _ in differences(one, other, _all(""), most=0):
            return True
    return False


@pytest.mark.parametrize(
    ("table", "column"),
    [("snapshots", ""), ("snapshots", "confirmed_at"), ("outcomes", ""), ("runs", "status"), ("renames", "")],
)
async def test_a_query_that_forgets_the_lock_is_noticed(
    table: str, column: str, rich: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(horizon._VIEWS, table, forgetful(table, column))
    assert await _is_noticed(rich)


async def test_a_reader_that_forgets_the_lock_is_noticed(
    rich: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "see_until", lambda _history, _at: None)
    monkeypatch.setattr(open_database, "Horizon", lambda db, _at: Horizon(db, CLOCK))
    assert await _is_noticed(rich)

"""Several keys in one run: each within its own plan, as the server counts it, and none waits for another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.quota.block import FIRST_BLOCK
from pipeline.quota.keys import ApiKey
from pipeline.sandbox.server import SandboxApi
from tests.support.clocks import ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import rows
from tests.support.runs import SYMBOLS, Runs, ended, limits
from tests.support.sandbox import Served

MAIN, SECOND = "S3CR3TK3YOFOURS1", "S3CR3TK3YOFOURS2"


def keys(main: str, second: str) -> tuple[ApiKey, ...]:
    return ApiKey("main", MAIN, limits(*main.split())), ApiKey("second", SECOND, limits(*second.split()))


@asynccontextmanager
async def enforcing(database: Path, clock: ManualClock, *keys: ApiKey) -> AsyncIterator[Runs]:
    """Yield runs against an API that counts each key's requests on this clock, and refuses those over its limits."""
    api = SandboxApi(
        companies=COMPANIES,
        limits=(),
        plans={key.secret: key.limits for key in keys},
        day=lambda: date(2026, 3, 13),
        wall=lambda: clock.wall,
        now=lambda: clock.monotonic,
    )
    async with api.serve() as base_url:
        yield Runs(database, Served(api, base_url), clock)


def requests_by_key(database: Path) -> dict[str, int]:
    """Return how many requests each key has sent, by its name."""
    query = """
        SELECT name, count(*) FROM requests JOIN keys ON keys.id = requests.key
         WHERE outcome IS NOT 'unsent' GROUP BY name
    """
    return dict(rows(database, query))


async def test_keys_with_different_plans_stay_within_each_and_use_all_of_both(
    database: Path, clock: ManualClock
) -> None:
    both = keys("5/minute", "20/minute 2/second")
    async with enforcing(database, clock, *both) as runs:
        began = clock.wall
        summary = await runs.collect(60, keys=both)

    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert (runs.served.api.requests, runs.served.api.refused) == (60, 0)
    assert requests_by_key(database) == {"main": 15, "second": 45}
    assert timedelta(minutes=2) <= clock.wall - began < timedelta(minutes=2, seconds=10)


async def test_when_one_keys_quota_ends_the_other_goes_on_also_after_a_restart(
    database: Path, clock: ManualClock
) -> None:
    """Another program uses the first key: the API says that its quota has ended before the plan does."""
    both = keys("25/day", "25/day")
    async with enforcing(database, clock, ApiKey("", MAIN, limits("2/day")), both[1]) as runs:
        summary = await runs.collect(20, keys=both)
        assert requests_by_key(database) == {"main": 3, "second": 18}
        again = await runs.collect(6, keys=both)
        assert requests_by_key(database) == {"main": 3, "second": 24}
        clock.advance(FIRST_BLOCK)
        probe = await runs.collect(1, keys=both)
        assert requests_by_key(database) == {"main": 4, "second": 25}

    assert ended(summary) == ended(again) == ended(probe) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert runs.served.api.refused == 2


async def test_a_refused_key_leaves_the_run_to_the_other_and_is_named(database: Path, clock: ManualClock) -> None:
    """The API's own demo key answers for IBM alone, and says so of any other symbol."""
    both = ApiKey("main", "demo", limits("25/day")), ApiKey("second", SECOND, limits("25/day"))
    async with enforcing(database, clock, *both) as runs:
        summary = await runs.collect(5, keys=both)

    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert summary.key_refused
    assert "main" in (summary.detail or "")
    assert sum(summary.counts.values()) == summary.counts[Outcome.STORED] == 5
    assert requests_by_key(database) == {"main": 1, "second": 5}


async def test_when_every_key_is_refused_the_run_ends(database: Path, clock: ManualClock) -> None:
    both = ApiKey("main", "demo", limits("25/day")), ApiKey("second", "", limits("25/day"))
    async with enforcing(database, clock, *both) as runs:
        summary = await runs.collect(5, keys=both)

    assert ended(summary) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert runs.served.api.requests == 2


async def test_what_the_only_key_has_used_counts_for_it_and_not_for_a_second(
    database: Path, clock: ManualClock
) -> None:
    both = keys("3/day", "3/day")
    async with enforcing(database, clock, *both) as runs:
        await runs.collect(2, keys=(ApiKey("", MAIN, limits("3/day")),))
        summary = await runs.collect(6, keys=both)

    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert (runs.served.api.requests, runs.served.api.refused) == (6, 0)
    assert requests_by_key(database) == {"main": 3, "second": 3}
    assert "every key" in (summary.detail or "")


@pytest.mark.parametrize("renamed", [False, True])
async def test_a_restart_keeps_the_ledger_of_each_key_whatever_it_is_called(
    database: Path, clock: ManualClock, *, renamed: bool
) -> None:
    first, second = keys("4/day", "2/day")
    async with enforcing(database, clock, first, second) as runs:
        await runs.collect(5, keys=(first, second))
        again = (ApiKey("b", MAIN, first.limits), ApiKey("a", SECOND, second.limits)) if renamed else (second, first)
        summary = await runs.collect(5, keys=again)

    assert summary.status is RunStatus.QUOTA_EXHAUSTED
    assert (runs.served.api.requests, runs.served.api.refused) == (6, 0)
    assert SYMBOLS[0] in runs.served.api.seen


async def test_a_key_that_takes_the_place_of_the_only_one_has_what_that_left(
    database: Path, clock: ManualClock
) -> None:
    """The API counts by address, too."""
    first, second = keys("3/day", "3/day")
    async with enforcing(database, clock, first, second) as runs:
        await runs.collect(2, keys=(first,))
        await runs.collect(5, keys=(second,))

    assert requests_by_key(database) == {"main": 2, "second": 1}

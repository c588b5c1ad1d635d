"""Endings: each row of the table of outcomes, by what the server received."""

import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.errors import KeyRefused, QuotaEnded
from pipeline.collect.endings import decisive_reason, ending
from pipeline.collect.failures import TooManyFailures, TooManyUncovered
from pipeline.collect.halt import Halt, Interrupted
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.store.database import StorageError
from pipeline.store.reader import Reader
from tests.support.clocks import ManualClock
from tests.support.commands import KEY
from tests.support.database import all_symbols
from tests.support.observations import empty_database
from tests.support.recordings import ERRORS, needs_recordings
from tests.support.runs import BAD_KEY, PREMIUM, SYMBOLS, Runs, ended, limits
from tests.support.sandbox import serving


async def test_overviews_are_stored_and_the_run_is_complete(runs: Runs) -> None:
    first, second = await runs.collect(5), await runs.collect(5)
    assert ended(first) == ended(second) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert (first.counts[Outcome.STORED], second.counts[Outcome.UNCHANGED]) == (5, 5)
    assert runs.requested.total() == 10 == first.requests + second.requests


async def test_a_symbol_that_is_not_covered_is_unknown_and_the_run_complete(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "{}")
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert (summary.counts[Outcome.UNKNOWN], summary.counts[Outcome.STORED]) == (1, 2)
    assert runs.requested[SYMBOLS[1]] == 1


@pytest.mark.parametrize(
    ("count", "denied", "status", "code"),
    [
        (3, 1, RunStatus.PARTIAL, ExitCode.PARTIAL),
        (5, 4, RunStatus.PARTIAL, ExitCode.PARTIAL),
        (1, 1, RunStatus.PARTIAL, ExitCode.PARTIAL),
        (2, 2, RunStatus.PARTIAL, ExitCode.PARTIAL),
        (3, 3, RunStatus.FAILED, ExitCode.FAILED),
        (9, 9, RunStatus.FAILED, ExitCode.FAILED),
    ],
)
async def test_companies_that_have_snapshots_and_are_denied_make_a_run_partial_and_all_of_them_failed(
    runs: Runs, count: int, denied: int, status: RunStatus, code: int
) -> None:
    await runs.collect(count)
    for symbol in SYMBOLS[:denied]:
        runs.served.api.says(symbol, "{}", times=None)

    summary = await runs.collect(count)

    assert ended(summary) == (status, code)
    assert (summary.counts[Outcome.UNKNOWN], summary.uncovered) == (denied, denied)
    assert "has snapshots" in (summary.detail or "") or "have snapshots" in (summary.detail or "")
    with Reader.open(runs.database) as reader:
        run = reader.last_run()
        details = {one.symbol: one.detail or "" for one in reader.outcomes(summary.run)}
    assert run is not None
    assert (run.status, run.unknown, run.uncovered) == (status, denied, denied)
    assert all("has snapshots" in details[symbol] for symbol in SYMBOLS[:denied])


async def test_a_misspelt_symbol_does_not_hide_that_all_the_others_are_denied(runs: Runs) -> None:
    await runs.collect(3)
    for symbol in SYMBOLS[:4]:
        runs.served.api.says(symbol, "{}", times=None)

    assert ended(await runs.collect(4)) == (RunStatus.FAILED, ExitCode.FAILED)


@pytest.mark.parametrize(
    ("counts", "uncovered", "status"),
    [
        ({Outcome.FAILED: 1, Outcome.UNKNOWN: 1}, 1, RunStatus.FAILED),
        ({Outcome.FAILED: 1, Outcome.UNKNOWN: 2}, 1, RunStatus.PARTIAL),
        ({Outcome.FAILED: 1, Outcome.UNKNOWN: 3, Outcome.UNCHANGED: 1}, 3, RunStatus.PARTIAL),
        ({Outcome.REJECTED: 5, Outcome.UNKNOWN: 3}, 3, RunStatus.FAILED),
        ({Outcome.UNKNOWN: 3}, 0, RunStatus.COMPLETE),
        ({}, 0, RunStatus.COMPLETE),
    ],
)
def test_failures_and_denials_together(counts: dict[Outcome, int], uncovered: int, status: RunStatus) -> None:
    assert ending(Counter(counts), None, uncovered=uncovered).status is status


@pytest.mark.parametrize(
    "body",
    ['{"Symbol": "OTHER"}', "<html/>", " " * 1_100_000, '{"Error Message": "Invalid API call."}', '{"a": "new"}'],
)
async def test_what_is_not_the_overview_is_rejected_without_a_retry_and_the_run_partial(runs: Runs, body: str) -> None:
    runs.served.api.says(SYMBOLS[1], body, times=None)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert (summary.counts[Outcome.REJECTED], summary.counts[Outcome.STORED]) == (1, 2)
    assert runs.requested[SYMBOLS[1]] == 1


async def test_a_run_with_only_failures_fails_however_few(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], "<html/>")
    assert ended(await runs.collect(1)) == (RunStatus.FAILED, ExitCode.FAILED)


async def test_a_full_window_of_our_ledger_is_the_quotas_end(runs: Runs) -> None:
    summary = await runs.collect(20, limits=limits("7/day"), concurrency=5)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.DEFERRED]) == (7, 13)
    assert runs.requested.total() == 7


async def test_max_requests_ends_the_run_like_the_quota_unless_all_were_requested(runs: Runs) -> None:
    assert ended(await runs.collect(20, max_requests=7)) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert runs.requested.total() == 7
    assert ended(await runs.collect(7, max_requests=7)) == (RunStatus.COMPLETE, ExitCode.DONE)


@pytest.mark.parametrize(("body", "remedy"), [(BAD_KEY, "ALPHAVANTAGE_API_KEY"), (PREMIUM, "plan")])
async def test_a_refused_key_or_plan_ends_the_run_and_no_further_request_leaves(
    runs: Runs, body: str, remedy: str
) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, body, times=None)
    summary = await runs.collect(40, concurrency=5)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert summary.counts[Outcome.DEFERRED] == 40
    assert runs.requested.total() == 5
    meaning, answer = (summary.detail or "").split(" The API answered: ")
    assert remedy in meaning
    assert "premium" in answer.lower() or "apikey" in answer.lower()


class Unreachable(StorageError):
    """As that of a fleet: of a kind that the table does not name."""


@pytest.mark.parametrize(
    ("reasons", "status", "code"),
    [
        ([QuotaEnded("x"), Interrupted("y")], RunStatus.INTERRUPTED, 130),
        ([TooManyFailures("x"), QuotaEnded("y")], RunStatus.QUOTA_EXHAUSTED, 5),
        ([KeyRefused("x"), QuotaEnded("y")], RunStatus.FAILED, 3),
        ([StorageError("x"), KeyRefused("y")], RunStatus.FAILED, 1),
        ([Interrupted("x"), StorageError("y")], RunStatus.INTERRUPTED, 130),
        ([TooManyFailures("x")], RunStatus.FAILED, 1),
        ([QuotaEnded("x"), Unreachable("y")], RunStatus.FAILED, 1),
        ([TooManyUncovered("x"), QuotaEnded("y")], RunStatus.QUOTA_EXHAUSTED, 5),
    ],
)
def test_where_several_rows_apply_the_lowest_decides(reasons: list[Exception], status: RunStatus, code: int) -> None:
    assert ending(Counter({Outcome.STORED: 1}), decisive_reason(reasons)) == (status, code)


@needs_recordings
async def test_no_recorded_refusal_is_stored_or_reveals_the_key(tmp_path: Path) -> None:
    expected = {
        "Throttled": (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA, Outcome.DEFERRED),
        "QuotaEnded": (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA, Outcome.DEFERRED),
        "NotInPlan": (RunStatus.FAILED, ExitCode.REFUSED, Outcome.DEFERRED),
        "KeyRefused": (RunStatus.FAILED, ExitCode.REFUSED, Outcome.DEFERRED),
        "BadRequest": (RunStatus.FAILED, ExitCode.FAILED, Outcome.REJECTED),
        "UnknownSymbol": (RunStatus.COMPLETE, ExitCode.DONE, Outcome.UNKNOWN),
        "Unavailable": (RunStatus.FAILED, ExitCode.FAILED, Outcome.FAILED),
    }
    kinds = {
        "auth": "KeyRefused", "bad": "BadRequest", "entitlement": "NotInPlan", "no": "UnknownSymbol",
        "throttle": "Throttled", "transient": "Unavailable",
    }  # fmt: skip
    symbols = [Symbol(name) for name in ("QUVEX", "AAPL", "MSFT")]
    for line in (ERRORS / "MEANING.tsv").read_text().splitlines()[1:]:
        name, _, meaning, *_, http = line.split("\t")
        clock = ManualClock()
        database = tmp_path / f"{name}.db"
        shutil.copy(empty_database(), database)
        body = (ERRORS / name).read_text().replace("X" * 16, KEY)
        async with serving(clock=clock) as served:
            for symbol in symbols:
                served.api.says(symbol, body, status=int(http.split()[0]), times=None)
            keys = (ApiKey("", KEY, (Limit.parse("25/day"),)),)
            source = Source(served.base_url, keys, 1, timedelta(seconds=5), timedelta(seconds=120), 3)
            summary = await collect(database, source, Order(tuple(symbols), None), halt=Halt(), clock=clock.as_clock())
        status, code, outcome = expected[kinds[meaning.split()[0]]]
        assert (summary.status, summary.exit_code) == (status, code), name
        assert summary.counts[outcome] == 3, name
        assert all_symbols(database) == []
        assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.glob(f"{name}.db*"))

"""Failures: ten in a row end the run."""

from pipeline.collect.failures import Failures, Uncovered
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from tests.support.runs import SYMBOLS, Runs, ended


async def test_ten_failures_in_a_row_end_the_run_and_no_further_request_leaves(runs: Runs) -> None:
    for symbol in SYMBOLS[5:]:
        runs.served.api.says(symbol, "<html/>", times=None)
    summary = await runs.collect(40)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.REJECTED]) == (5, 10)
    assert summary.counts[Outcome.DEFERRED] == 25
    assert runs.requested.total() == 15


async def test_nine_failures_in_a_row_and_a_good_answer_are_partial(runs: Runs) -> None:
    for symbol in (*SYMBOLS[:9], *SYMBOLS[10:19]):
        runs.served.api.says(symbol, "<html/>", times=None)
    summary = await runs.collect(20)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert summary.counts[Outcome.REJECTED] == 18


async def test_ten_companies_in_a_row_that_the_api_denies_end_the_run(runs: Runs) -> None:
    for symbol in SYMBOLS[8:10]:  # never covered: neither a denial nor an overview
        runs.served.api.says(symbol, "{}", times=None)
    await runs.collect(30)
    for symbol in SYMBOLS[5:]:
        runs.served.api.says(symbol, "{}", times=None)
    runs.served.api.seen.clear()

    summary = await runs.collect(30)

    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert runs.requested.total() == 5 + 10 + 2
    assert (summary.counts[Outcome.UNKNOWN], summary.uncovered, summary.counts[Outcome.DEFERRED]) == (12, 10, 13)
    assert SYMBOLS[16] in (summary.detail or "")


async def test_an_overview_ends_a_row_of_denials_and_a_company_never_covered_does_not(runs: Runs) -> None:
    await runs.collect(20)
    for symbol in SYMBOLS[:9] + SYMBOLS[10:19]:
        runs.served.api.says(symbol, "{}", times=None)

    summary = await runs.collect(20)

    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert (summary.counts[Outcome.UNKNOWN], summary.uncovered, summary.counts[Outcome.UNCHANGED]) == (18, 18, 2)


async def test_a_company_that_the_api_denies_does_not_end_a_row_of_failures(runs: Runs) -> None:
    await runs.collect(20)
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, "{}" if symbol == SYMBOLS[3] else "<html/>", times=None)
    runs.served.api.seen.clear()

    summary = await runs.collect(20)

    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert runs.requested.total() == 1 + 10


def test_what_the_api_denies_is_named() -> None:
    uncovered = Uncovered()
    assert uncovered.summary() is None

    uncovered.add(Symbol("AAPL"))
    assert "1 symbol that has snapshots: AAPL" in (uncovered.summary() or "")
    uncovered.add(Symbol("IBM"))
    assert "2 symbols that have snapshots: AAPL, IBM" in (uncovered.summary() or "")


def test_the_most_common_detail_is_named_with_its_share() -> None:
    failures = Failures()
    for detail in ("HTTP 503", "timeout", "HTTP 503"):
        failures.add(Symbol("AAPL"), detail)

    assert failures.most_common() == "HTTP 503 (2 of 3)"


def test_a_single_kind_of_failure_needs_no_share_and_none_has_no_detail() -> None:
    failures = Failures()
    assert failures.most_common() is None

    failures.add(Symbol("AAPL"), "timeout")

    assert failures.most_common() == "timeout"


def test_details_that_all_differ_do_not_fill_the_memory() -> None:
    failures = Failures()
    for number in range(1000):
        failures.add(Symbol("AAPL"), f"error {number}")

    assert failures.most_common() == "other errors (950 of 1,000)"


def test_a_row_of_failures_ends_with_an_answer() -> None:
    failures = Failures()
    for _ in range(9):
        assert failures.add(Symbol("AAPL"), "timeout") is None
    failures.end_row()

    assert [failures.add(Symbol("AAPL"), "timeout") is None for _ in range(10)] == [True] * 9 + [False]

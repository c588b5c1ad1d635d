"""Conditions: what is a bad observation, what is a good one, and what is none."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.collect.due import Selection
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import (
    Observation,
    Over,
    after_run,
    backups,
    can_be_stale,
    coverage,
    field_drift,
    staleness,
)
from pipeline.store.database import StorageError
from pipeline.store.drift import Drift
from pipeline.store.noted_backups import NotedBackups
from tests.support.clocks import START
from tests.support.monitoring import EMPTY

DAILY = "30 18 * * * UTC"
STALE_AFTER = timedelta(hours=72)
RUN_KINDS = {Kind.RUN_FAILED, Kind.RUN_PARTIAL, Kind.MISSED}
STORED, UNKNOWN, REJECTED, DEFERRED = Outcome.STORED, Outcome.UNKNOWN, Outcome.REJECTED, Outcome.DEFERRED


def ended(
    status: RunStatus,
    *outcomes: Outcome,
    exit_code: int = ExitCode.DONE,
    requests: int | None = None,
    error: StorageError | None = None,
    key_refused: bool = False,
) -> Summary:
    asked = len(outcomes) if requests is None else requests
    return Summary(
        run=RunId(12), trigger=Trigger.SCHEDULE, status=status, symbols=3, selection=Selection([], 0, 0),
        counts=Counter(outcomes), requests=asked, seconds=1.0, busy_seconds=1.0, detail=None, exit_code=exit_code,
        storage_error=error, key_refused=key_refused,
    )  # fmt: skip


def wrong(summary: Summary) -> set[tuple[Kind, str]]:
    seen = after_run(summary, DAILY, START)
    return {(one.kind, one.subject) for one in seen if isinstance(one, Problem)}


def over(summary: Summary) -> set[Kind]:
    """Return what a run shows to be over. What it shows for its schedule, it shows for any."""
    good = [one for one in after_run(summary, DAILY, START) if isinstance(one, Over)]
    assert {one.subject for one in good if one.kind in RUN_KINDS} in (set(), {DAILY, ""})
    assert {one.subject for one in good if one.kind not in RUN_KINDS} <= {""}
    return {one.kind for one in good}


def test_a_complete_run_with_overviews_shows_that_all_is_well() -> None:
    run = ended(RunStatus.COMPLETE, STORED, UNKNOWN)

    assert wrong(run) == set()
    assert over(run) == RUN_KINDS | {Kind.CRASH, Kind.STORAGE, Kind.KEY_REFUSED, Kind.CLOCK}


@pytest.mark.parametrize(
    "run",
    [
        ended(RunStatus.COMPLETE, requests=0),
        ended(RunStatus.QUOTA_EXHAUSTED, DEFERRED, exit_code=ExitCode.QUOTA, requests=0),
    ],
    ids=["nothing was due", "no quota left"],
)
def test_a_run_that_asked_nothing_shows_nothing_but_that_it_could_write(run: Summary) -> None:
    assert wrong(run) == set()
    assert over(run) == {Kind.STORAGE}


def test_an_interrupted_run_shows_nothing_whatever_it_got() -> None:
    run = ended(RunStatus.INTERRUPTED, STORED, REJECTED, DEFERRED, exit_code=ExitCode.INTERRUPTED)

    assert after_run(run, DAILY, START) == []


def test_a_run_that_the_quota_ended_went_well_as_far_as_it_got() -> None:
    run = ended(RunStatus.QUOTA_EXHAUSTED, STORED, DEFERRED, exit_code=ExitCode.QUOTA)
    with_a_failure = ended(RunStatus.QUOTA_EXHAUSTED, STORED, REJECTED, DEFERRED, exit_code=ExitCode.QUOTA)
    refused_from_the_start = ended(RunStatus.QUOTA_EXHAUSTED, DEFERRED, DEFERRED, exit_code=ExitCode.QUOTA)

    assert wrong(run) | wrong(with_a_failure) | wrong(refused_from_the_start) == set()
    assert over(run) >= RUN_KINDS
    assert over(with_a_failure) & RUN_KINDS == RUN_KINDS - {Kind.RUN_PARTIAL}
    assert over(refused_from_the_start) == {Kind.CRASH, Kind.STORAGE}


def test_a_failed_run_and_a_partial_one_are_wrong_for_their_schedule_and_end_nothing_of_the_other() -> None:
    failed = ended(RunStatus.FAILED, REJECTED, REJECTED, exit_code=ExitCode.FAILED)
    partial = ended(RunStatus.PARTIAL, STORED, REJECTED, exit_code=ExitCode.PARTIAL)

    assert wrong(failed) == {(Kind.RUN_FAILED, DAILY)}
    assert wrong(partial) == {(Kind.RUN_PARTIAL, DAILY)}
    assert over(failed) == {Kind.CRASH, Kind.STORAGE}
    assert over(partial) == {Kind.CRASH, Kind.STORAGE, Kind.KEY_REFUSED, Kind.CLOCK}


def test_a_refused_key_is_wrong_even_if_it_was_accepted_earlier_in_the_run() -> None:
    run = ended(RunStatus.FAILED, STORED, DEFERRED, exit_code=ExitCode.REFUSED, key_refused=True)

    assert wrong(run) == {(Kind.KEY_REFUSED, "")}
    assert Kind.KEY_REFUSED not in over(run)


def test_a_proxy_that_refuses_is_a_failed_run_and_says_nothing_against_the_key() -> None:
    run = ended(RunStatus.FAILED, STORED, DEFERRED, exit_code=ExitCode.REFUSED)

    assert wrong(run) == {(Kind.RUN_FAILED, DAILY)}
    assert Kind.KEY_REFUSED in over(run)


def test_only_overviews_show_that_the_key_is_accepted() -> None:
    assert Kind.KEY_REFUSED not in over(ended(RunStatus.COMPLETE, UNKNOWN))
    assert Kind.KEY_REFUSED not in over(ended(RunStatus.FAILED, REJECTED, exit_code=ExitCode.FAILED))
    assert Kind.KEY_REFUSED in over(ended(RunStatus.COMPLETE, Outcome.UNCHANGED))


def test_a_run_that_could_not_write_everything_does_not_show_that_storage_works() -> None:
    run = ended(RunStatus.FAILED, STORED, Outcome.FAILED, exit_code=ExitCode.FAILED, error=StorageError("disk full"))

    assert wrong(run) == {(Kind.STORAGE, ""), (Kind.RUN_FAILED, DAILY)}
    assert Kind.STORAGE not in over(run)


def test_staleness_is_over_for_symbols_observed_since_and_for_no_others() -> None:
    aapl, ibm, pep, new, gone = map(Symbol, ("AAPL", "IBM", "PEP", "NEW", "GONE"))
    status = replace(EMPTY, unknown=(pep,), pending=(new,), stale=(ibm,), fresh=1)

    seen = staleness(status, (aapl, ibm, pep, new), STALE_AFTER, firing={aapl, ibm, pep, new, gone})

    assert [(type(one), one.kind, one.subject) for one in seen] == [
        (Problem, Kind.STALE, ibm),
        (Over, Kind.STALE, aapl),
    ]


def test_a_denied_company_is_wrong_until_it_is_covered_again_or_no_longer_configured() -> None:
    aapl, ibm, gone = map(Symbol, ("AAPL", "IBM", "GONE"))
    status = replace(EMPTY, unknown=(ibm,), uncovered=(ibm,), fresh=1)

    seen = coverage(status, (aapl, ibm), firing={aapl, ibm, gone})

    assert [(type(one), one.kind, one.subject) for one in seen] == [
        (Problem, Kind.UNCOVERED, ibm),
        (Over, Kind.UNCOVERED, aapl),
    ]


def test_a_run_that_the_quota_ended_while_companies_were_denied_shows_no_recovery_from_that() -> None:
    denied = replace(ended(RunStatus.QUOTA_EXHAUSTED, UNKNOWN, DEFERRED, exit_code=ExitCode.QUOTA), uncovered=1)
    partly = replace(ended(RunStatus.QUOTA_EXHAUSTED, UNKNOWN, STORED, exit_code=ExitCode.QUOTA), uncovered=1)

    assert over(denied) & RUN_KINDS == set()
    assert over(partly) & RUN_KINDS == RUN_KINDS - {Kind.RUN_PARTIAL}


def test_a_symbol_that_turns_out_not_to_be_covered_cannot_be_stale_any_more() -> None:
    aapl, ibm, pep = map(Symbol, ("AAPL", "IBM", "PEP"))
    status = replace(EMPTY, unknown=(ibm, pep), stale=(ibm,))

    assert can_be_stale(status, (aapl, ibm, pep)) == {aapl, ibm}


def test_drift_is_over_for_fields_in_which_there_is_none_any_more() -> None:
    seen = field_drift(Drift(["Mood"], ["Beta"], ["EPS"]), firing={"Mood", "Gamma"})

    assert [(type(one), one.subject) for one in seen] == [
        (Problem, "Mood"),
        (Problem, "Beta"),
        (Problem, "EPS"),
        (Over, "Gamma"),
    ]


def test_only_where_backups_are_made_an_old_one_is_wrong_and_a_new_one_ends_it() -> None:
    def seen(age: timedelta | None) -> list[Observation]:
        noted = NotedBackups(None if age is None else START - age)
        return backups(replace(EMPTY, backups=noted), timedelta(days=14), now=START)

    (old,) = seen(timedelta(days=14, seconds=1))

    assert seen(None) == []
    assert isinstance(old, Problem)
    assert old.kind is Kind.BACKUP
    assert seen(timedelta(days=14)) == [Over(Kind.BACKUP)]


def test_a_backup_from_the_future_holds_no_alert_back_and_is_named() -> None:
    def seen(age: timedelta | None) -> Observation:
        noted = NotedBackups(None if age is None else START - age, START + timedelta(days=365))
        (one,) = backups(replace(EMPTY, backups=noted), timedelta(days=14), now=START)
        return one

    assert seen(timedelta(days=14)) == Over(Kind.BACKUP)
    for wrong in (seen(timedelta(days=15)), seen(None)):
        assert isinstance(wrong, Problem)
        assert "in the future, 2027-03-14" in wrong.text

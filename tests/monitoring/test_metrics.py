"""The metrics: what the record knows is read from it, what the process knows is counted, and all of it parses."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from pipeline import __version__
from pipeline.api.errors import ApiError, RunEnding, TransientError
from pipeline.model.outcomes import Outcome, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.monitoring.metrics import OUTCOMES, Metrics
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.quota.estimate import WindowUsage
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PLANS, Limit
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.monitoring import BEAT, EMPTY, families, values

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3"
SYMBOLS = [Symbol("AAPL"), Symbol("NONE"), Symbol("OLD")]


def page(metrics: Metrics, status: Status | None = EMPTY, beat: Heartbeat | None = BEAT) -> dict[str, float]:
    return values(metrics.render(status, beat)[1])


async def kept(database: Path) -> None:
    """Keep three runs: two that completed, one that was partial; and what became of three symbols."""
    ends = (RunStatus.COMPLETE, RunStatus.PARTIAL, RunStatus.COMPLETE)
    async with open_writer(database) as writer:
        store = Store(writer)
        for number, status in enumerate(ends):
            at = START + timedelta(minutes=number)
            run = await store.begin(Trigger.MANUAL, at=at, symbols=3, due=3)
            await store.note(SymbolResult(run, Symbol("NONE"), Outcome.UNKNOWN, 1, at, "{}"))
            await store.finish(run, RunResult(status, Counter[Outcome](), 3, 1.5, None), at=at)
        await store.begin(Trigger.MANUAL, at=START, symbols=3, due=3)  # under way


async def test_what_the_database_holds_is_read_from_it(database: Path) -> None:
    await kept(database)
    now = START + timedelta(hours=1)
    known = read_status(
        database, Scope(tuple(SYMBOLS), (KeyPlan("", PLANS["free"]),), timedelta(hours=72), timedelta(days=14)), now=now
    )

    metrics_page = page(Metrics(), known)

    assert metrics_page['pipeline_runs_total{status="complete"}'] == 2
    assert metrics_page['pipeline_runs_total{status="partial"}'] == 1
    assert metrics_page['pipeline_runs_total{status="failed"}'] == 0
    assert metrics_page["pipeline_last_success_timestamp_seconds"] == (START + timedelta(minutes=2)).timestamp()
    assert metrics_page["pipeline_missed_runs_total"] == 0
    assert metrics_page["pipeline_snapshots_total"] == 0
    assert metrics_page['pipeline_symbols{state="pending"}'] == 2
    assert metrics_page['pipeline_symbols{state="stale"}'] == 0
    assert metrics_page['pipeline_symbols{state="unknown"}'] == 1
    assert metrics_page['pipeline_symbols{state="fresh"}'] == 0
    assert metrics_page['pipeline_window_used{window="25/day"}'] == 0
    assert metrics_page['pipeline_window_limit{window="25/day"}'] == 25
    assert metrics_page["pipeline_database_bytes"] >= database.stat().st_size


def test_each_keys_windows_have_its_name_where_there_are_several() -> None:
    windows = [WindowUsage("25/day", used, 25 - used, None, key) for used, key in ((3, "main"), (4, "second"))]

    metrics_page = page(Metrics(), replace(EMPTY, windows=windows))

    assert metrics_page['pipeline_window_used{key="main",window="25/day"}'] == 3
    assert metrics_page['pipeline_window_used{key="second",window="25/day"}'] == 4
    assert metrics_page['pipeline_window_limit{key="second",window="25/day"}'] == 25


def test_every_ended_status_is_told_from_the_start_and_a_run_under_way_is_not() -> None:
    metrics_page = page(Metrics(), replace(EMPTY, runs={"running": 1, "missed": 2, "failed": 3}))

    statuses = {
        name.split('"')[1]: count for name, count in metrics_page.items() if name.startswith("pipeline_runs_total")
    }
    assert statuses == {
        "complete": 0,
        "partial": 0,
        "quota_exhausted": 0,
        "failed": 3,
        "interrupted": 0,
        "missed": 2,
    }
    assert metrics_page["pipeline_missed_runs_total"] == 2


def test_every_outcome_of_the_ledger_is_told_from_the_start() -> None:
    def kinds(error: type[ApiError]) -> Iterable[str]:
        yield error.kind
        for heir in error.__subclasses__():
            yield from kinds(heir)

    metrics_page = page(Metrics())

    never_raised = {ApiError.kind, TransientError.kind, RunEnding.kind}
    assert set(OUTCOMES) == {"answered", "abandoned", *kinds(ApiError)} - never_raised
    for outcome in OUTCOMES:
        assert metrics_page[f'pipeline_requests_total{{outcome="{outcome}"}}'] == 0


def test_requests_and_runs_are_counted_and_timed() -> None:
    metrics = Metrics()

    metrics.request_ended("answered", 0.25)
    metrics.request_ended("answered", 0.15)
    metrics.request_ended("throttled", 2)
    metrics.run_ended(7_000)

    metrics_page = page(metrics)
    assert metrics_page['pipeline_requests_total{outcome="answered"}'] == 2
    assert metrics_page['pipeline_requests_total{outcome="throttled"}'] == 1
    assert metrics_page["pipeline_request_duration_seconds_count"] == 3
    assert metrics_page["pipeline_request_duration_seconds_sum"] == pytest.approx(2.4)
    assert metrics_page['pipeline_request_duration_seconds_bucket{le="0.2"}'] == 1
    assert metrics_page["pipeline_run_duration_seconds_count"] == 1
    assert metrics_page['pipeline_run_duration_seconds_bucket{le="3600.0"}'] == 0
    assert metrics_page['pipeline_run_duration_seconds_bucket{le="7200.0"}'] == 1


def test_what_the_daemon_says_of_itself_is_told() -> None:
    beat = Heartbeat(
        pid=7,
        started_at=START,
        at=START + timedelta(seconds=30),
        state=DaemonState.IDLE,
        next_fire=START + timedelta(hours=1),
        silent_seconds=0.0,
        refused="pipeline.toml: colour: no such key",
        timer_restarts=2,
    )

    metrics_page = page(Metrics(), beat=beat)

    assert metrics_page["pipeline_heartbeat_timestamp_seconds"] == START.timestamp() + 30
    assert metrics_page["pipeline_next_fire_timestamp_seconds"] == START.timestamp() + 3600
    assert metrics_page["pipeline_timer_restarts_total"] == 2
    assert metrics_page["pipeline_config_last_reload_successful"] == 0
    assert page(Metrics())["pipeline_config_last_reload_successful"] == 1
    assert "colour" not in str(metrics_page)


def test_the_build_is_told() -> None:
    (build,) = [name for name in page(Metrics()) if name.startswith("pipeline_build_info")]
    assert f'version="{__version__}"' in build
    assert f'sqlite="{sqlite3.sqlite_version}"' in build


def test_unknown_values_are_absent_and_not_zero() -> None:
    """If the database cannot be read, or before the first heartbeat, what the process knows is still exported."""
    metrics = Metrics()
    metrics.request_ended("answered", 0.2)

    metrics_page = page(metrics, None, None)

    assert metrics_page['pipeline_requests_total{outcome="answered"}'] == 1
    assert "pipeline_snapshots_total" not in metrics_page
    assert "pipeline_heartbeat_timestamp_seconds" not in metrics_page
    assert "pipeline_last_success_timestamp_seconds" not in page(metrics)
    unscheduled = msgspec.structs.replace(BEAT, next_fire=None)
    assert "pipeline_next_fire_timestamp_seconds" not in page(metrics, beat=unscheduled)


def test_a_window_that_holds_more_than_the_plan_now_allows_keeps_its_limit() -> None:
    """After a change to a smaller plan, more counts in a window than it admits."""
    known = replace(EMPTY, windows=[WindowUsage("25/day", 60, 0, None)])
    metrics_page = page(Metrics(), known)
    assert metrics_page['pipeline_window_used{window="25/day"}'] == 60
    assert metrics_page['pipeline_window_limit{window="25/day"}'] == 25


@given(
    runs=st.dictionaries(st.sampled_from([*RunStatus, "of a later version"]), st.integers(0, 10**9)),
    windows=st.lists(
        st.builds(
            lambda limit, used: WindowUsage(str(limit), used, max(limit.count - used, 0), None),
            st.sampled_from([Limit.parse("25/day"), Limit.parse("1/second"), Limit.parse("75/minute")]),
            st.integers(0, 10**6),
        )
    ),
    last_success=st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
)
def test_for_any_status_the_page_parses_and_has_no_series_twice(
    runs: dict[str, int], windows: list[WindowUsage], last_success: datetime | None
) -> None:
    known = replace(EMPTY, runs=runs, windows=windows, last_success=last_success)
    assert page(Metrics(), known)['pipeline_runs_total{status="failed"}'] == runs.get("failed", 0)


def test_it_is_plain_text_unless_openmetrics_is_asked_for() -> None:
    metrics = Metrics()
    plain_type, plain_page = metrics.render(EMPTY, BEAT)
    open_type, open_page = metrics.render(EMPTY, BEAT, OPENMETRICS)

    assert plain_type.startswith("text/plain; version=0.0.4")
    assert open_type.startswith("application/openmetrics-text")
    parsed = {one.name: one for one in openmetrics(open_page.decode())}  # type: ignore[no-untyped-call]  # theirs
    assert parsed["pipeline_runs"].type == "counter"
    assert parsed["pipeline_build"].type == "info"
    assert parsed.keys() >= {name for name in families(plain_page) if name.startswith("pipeline_missed")}


@given(accept=st.text(max_size=200) | st.from_regex(r"application/openmetrics-text; ?version=.{0,9}", fullmatch=True))
def test_any_accept_header_gets_a_page(accept: str) -> None:
    content_type, metrics_page = Metrics().render(EMPTY, BEAT, accept)
    assert content_type.startswith(("text/plain", "application/openmetrics-text"))
    assert b"pipeline_requests_total" in metrics_page


def test_names_and_help_texts_follow_the_rules_of_prometheus() -> None:
    known = replace(EMPTY, last_success=START, windows=[WindowUsage("25/day", 3, 22, None)])
    beat = Heartbeat(pid=7, started_at=START, at=START, state=DaemonState.IDLE, next_fire=START, silent_seconds=0.0)
    for name, family in families(Metrics().render(known, beat)[1]).items():
        assert family.documentation, name
        assert family.samples, name
        assert name.startswith(("pipeline_", "process_")), name
        assert not name.endswith("_total"), "only counters are totals, and of those the parser takes it off"
        assert not name.endswith(("_seconds_bytes", "_ms", "_milliseconds", "_hours")), "base units"


def test_nothing_of_it_is_in_the_registry_of_the_whole_process() -> None:
    Metrics()
    Metrics()  # and two do not get into each other's way
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("pipeline_")]

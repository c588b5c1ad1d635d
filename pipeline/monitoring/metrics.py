"""Metrics: what Prometheus is told, in its text format or in OpenMetrics, whichever is asked for.

What the record knows is read from it at each scrape: it survives restarts, and runs by hand count too. What only the
process knows, the requests and how long they took, is counted here, from its start.
"""

import platform
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline import __version__
from pipeline.api.errors import (
    KeyRefused,
    NotInPlan,
    QuotaEnded,
    Rejected,
    Throttled,
    Unavailable,
    UnknownSymbol,
    Unreachable,
    Unrecognised,
)
from pipeline.collect.fetch import ABANDONED, ANSWERED
from pipeline.model.outcomes import RunStatus
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.monitoring.status import Status
from pipeline.quota.limits import Limit

OUTCOMES = (
    ANSWERED,
    ABANDONED,
    *(
        kind.kind
        for kind in (
            Throttled,
            Unavailable,
            Unreachable,
            QuotaEnded,
            KeyRefused,
            NotInPlan,
            UnknownSymbol,
            Rejected,
            Unrecognised,
        )
    ),
)
"""What can come of a request, in the ledger's words: each is told from the start, so that its first one is a rise."""
_STATUSES = [status for status in RunStatus if status is not RunStatus.RUNNING]
"""A run under way is left out: it would be counted twice, and a counter never falls."""
_REQUEST_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)
_RUN_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400)


class Metrics:
    """Counts what the process does, and tells it together with what the record and the heartbeat say.

    In a registry of its own: what else in the process counts something stays out of it. May be used from any thread.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "pipeline_requests",
            "Requests to the API since the process began, by what came of them.",
            ["outcome"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "pipeline_request_duration_seconds",
            "How long requests to the API took, whatever came of them.",
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._run_seconds = Histogram(
            "pipeline_run_duration_seconds",
            "How long the runs of this process took.",
            buckets=_RUN_SECONDS,
            registry=self._registry,
        )
        Info("pipeline_build", "What runs: the versions of program, Python and SQLite.", registry=self._registry).info(
            {"version": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
        )
        for outcome in OUTCOMES:
            self._requests.labels(outcome)

    def request_ended(self, outcome: str, seconds: float) -> None:
        """Count a request, by what the ledger calls its outcome."""
        self._requests.labels(outcome).inc()
        self._request_seconds.observe(seconds)

    def run_ended(self, seconds: float) -> None:
        """Count how long a run took."""
        self._run_seconds.observe(seconds)

    def render(self, status: Status | None, beat: Heartbeat | None, accept: str = "") -> tuple[str, bytes]:
        """Return the content type and the page, in the format that the Accept header asks for.

        Without a status, because the record cannot be read, and before the first beat, the rest is told all the
        same: what is absent is not told as 0.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, content_type = choose_encoder("")
        return content_type, encode(_Scrape(self._registry, status, beat))


@dataclass(frozen=True, slots=True)
class _Scrape(Collector):
    """All there is to tell at one scrape."""

    registry: CollectorRegistry
    status: Status | None
    beat: Heartbeat | None

    def collect(self) -> Iterator[Metric]:
        yield from self.registry.collect()
        if self.status is not None:
            yield from _of_the_record(self.status)
        if self.beat is not None:
            yield from _of_the_daemon(self.beat)


def _of_the_record(status: Status) -> Iterator[Metric]:
    yield _labelled(
        CounterMetricFamily(
            "pipeline_runs", "Runs that ended, and fire times that were missed, by status.", labels=["status"]
        ),
        {name: status.runs.get(name, 0) for name in _STATUSES},
    )
    yield CounterMetricFamily(
        "pipeline_missed_runs",
        "Fire times at which nothing could run.",
        value=status.runs.get(RunStatus.MISSED, 0),
    )
    yield CounterMetricFamily("pipeline_snapshots", "Snapshots kept.", value=status.snapshots)
    yield from _instant(
        "pipeline_last_success_timestamp_seconds", "When the last complete run ended.", status.last_success
    )
    # By name: a limit that was configured twice is one series, or Prometheus would refuse the page.
    yield _labelled(
        GaugeMetricFamily("pipeline_window_used", "Requests that count in each of the plan's windows.", labels=_WINDOW),
        {window.limit: window.used for window in status.windows},
    )
    yield _labelled(
        GaugeMetricFamily("pipeline_window_limit", "Requests that each of the plan's windows admits.", labels=_WINDOW),
        {window.limit: Limit.parse(window.limit).count for window in status.windows},
    )
    yield _labelled(
        GaugeMetricFamily(
            "pipeline_symbols",
            "Configured symbols: fresh, stale (not looked at for longer than is allowed), unknown to the API.",
            labels=["state"],
        ),
        {"fresh": status.fresh, "stale": len(status.stale), "unknown": len(status.unknown)},
    )
    yield GaugeMetricFamily(
        "pipeline_database_bytes", "Size of the database, its -wal included.", value=status.database_bytes
    )


def _of_the_daemon(beat: Heartbeat) -> Iterator[Metric]:
    yield from _instant("pipeline_heartbeat_timestamp_seconds", "When the daemon's loop last came round.", beat.at)
    yield from _instant("pipeline_next_fire_timestamp_seconds", "When the next scheduled run begins.", beat.next_fire)
    yield CounterMetricFamily(
        "pipeline_timer_restarts", "How often the daemon's timer had to be started anew.", value=beat.timer_restarts
    )
    yield GaugeMetricFamily(
        "pipeline_config_last_reload_successful",
        "Whether the configuration was taken over when last asked to (1), or the one before is still in force (0).",
        value=beat.refused is None,
    )


_WINDOW = ["window"]


def _labelled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float]
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _instant(name: str, documentation: str, instant: datetime | None) -> Iterable[Metric]:
    """Return the instant as a gauge, nothing where there is none: 0 would be a time 50 years ago."""
    return [] if instant is None else [GaugeMetricFamily(name, documentation, value=instant.timestamp())]

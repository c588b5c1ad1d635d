"""Metrics for Prometheus, in its text format or in OpenMetrics, as the client accepts.

What the database knows is read from it at each scrape: it survives restarts, and includes manual runs. What only the
process knows, the requests and their durations, is counted here from its start.
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
    ProxyRefused,
    QuotaEnded,
    Rejected,
    Throttled,
    Unavailable,
    UnknownSymbol,
    Unreachable,
    Unrecognised,
    WrongClock,
)
from pipeline.collect.fetch import ANSWERED
from pipeline.model.outcomes import RunStatus
from pipeline.monitoring.fleet_metrics import fleet_metrics
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.monitoring.status import Status
from pipeline.quota.account import ABANDONED
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
            ProxyRefused,
            WrongClock,
            UnknownSymbol,
            Rejected,
            Unrecognised,
        )
    ),
)
"""The outcomes of a request, as in the ledger. Each is exported from the start, so that the first is an increase."""
_STATUSES = [status for status in RunStatus if status is not RunStatus.RUNNING]
"""Runs in progress are left out: they would be counted twice, and a counter never decreases."""
_REQUEST_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)
_RUN_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400)


class Metrics:
    """Counts what the process does, and renders it together with the status and the heartbeat.

    It has a registry of its own, free of what other libraries count. It may be used from any thread.
    """

    def __init__(self) -> None:
        self._registry = _registry_of_process()
        self._requests = Counter(
            "pipeline_requests",
            "Requests to the API since the process started, by outcome.",
            ["outcome"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "pipeline_request_duration_seconds",
            "Duration of requests to the API, whatever the outcome.",
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._run_seconds = Histogram(
            "pipeline_run_duration_seconds",
            "Duration of the scheduled runs of this process.",
            buckets=_RUN_SECONDS,
            registry=self._registry,
        )
        for outcome in OUTCOMES:
            self._requests.labels(outcome)

    def request_ended(self, outcome: str, seconds: float) -> None:
        """Count a request, by its outcome in the ledger."""
        self._requests.labels(outcome).inc()
        self._request_seconds.observe(seconds)

    def run_ended(self, seconds: float) -> None:
        """Count the duration of a run."""
        self._run_seconds.observe(seconds)

    def render(self, status: Status | None, beat: Heartbeat | None, accept: str = "") -> tuple[str, bytes]:
        """Return the content type and the page, in the format that the Accept header names.

        Without a status (the database cannot be read) or a heartbeat, the rest is rendered: what is unknown is absent,
        not 0.
        """
        return _rendered(_Scrape(self._registry, status, beat), accept)


class ServerMetrics:
    """What a process exports that only reads a database: itself, and the status; nothing of collecting."""

    def __init__(self) -> None:
        self._registry = _registry_of_process()

    def render(self, status: Status | None, accept: str = "") -> tuple[str, bytes]:
        """Return the content type and the page, in the format that the Accept header names."""
        return _rendered(_Scrape(self._registry, status, None), accept)


def _registry_of_process() -> CollectorRegistry:
    """Return a registry with what every process exports of itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("pipeline_build", "Versions of the program, Python and SQLite.", registry=registry).info(
        {"version": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    )
    return registry


def _rendered(scrape: "_Scrape", accept: str) -> tuple[str, bytes]:
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # an invalid version
        encode, content_type = choose_encoder("")
    return content_type, encode(scrape)


@dataclass(frozen=True, slots=True)
class _Scrape(Collector):
    """All that one scrape returns."""

    registry: CollectorRegistry
    status: Status | None
    beat: Heartbeat | None

    def collect(self) -> Iterator[Metric]:
        yield from self.registry.collect()
        if self.status is not None:
            yield from _status_metrics(self.status)
        if self.beat is not None:
            yield from _heartbeat_metrics(self.beat)


def _status_metrics(status: Status) -> Iterator[Metric]:
    yield from _run_metrics(status)
    yield CounterMetricFamily("pipeline_snapshots", "Snapshots stored.", value=status.snapshots)
    yield from _instant("pipeline_last_backup_timestamp_seconds", "When the last backup was made.", status.backups.last)
    yield from _window_metrics(status)
    yield _labelled(
        GaugeMetricFamily(
            "pipeline_symbols",
            "Configured symbols: fresh, pending (configured not long ago, and not observed since), stale (not observed"
            " for too long), unknown to the API.",
            labels=["state"],
        ),
        {
            "fresh": status.fresh,
            "pending": len(status.pending),
            "stale": len(status.stale),
            "unknown": len({*status.unknown} - {*status.pending, *status.stale}),
        },
    )
    yield GaugeMetricFamily(
        "pipeline_uncovered_symbols",
        "Configured symbols that have snapshots, and for which the API last answered that it does not cover them.",
        value=len(status.uncovered),
    )
    if status.fleet is not None:
        yield from fleet_metrics(status.fleet)
    yield GaugeMetricFamily(
        "pipeline_database_bytes", "Size of the database, including its -wal file.", value=status.database_bytes
    )


def _run_metrics(status: Status) -> Iterator[Metric]:
    yield _labelled(
        CounterMetricFamily(
            "pipeline_runs",
            "Runs that have ended, and missed fire times, by status; without runs on demand.",
            labels=["status"],
        ),
        {name: status.runs.get(name, 0) for name in _STATUSES},
    )
    yield _labelled(
        CounterMetricFamily("pipeline_on_demand_runs", "Runs on demand that have ended, by status.", labels=["status"]),
        {name: status.on_demand_runs.get(name, 0) for name in _STATUSES if name is not RunStatus.MISSED},
    )
    yield CounterMetricFamily(
        "pipeline_missed_runs",
        "Missed fire times: nothing could run.",
        value=status.runs.get(RunStatus.MISSED, 0),
    )
    yield from _instant(
        "pipeline_last_success_timestamp_seconds", "When the last complete run ended.", status.last_success
    )


def _window_metrics(status: Status) -> Iterator[Metric]:
    labels = ["window", "key"] if any(window.key for window in status.windows) else ["window"]
    used = GaugeMetricFamily("pipeline_window_used", "Requests that count in each window of the plan.", labels=labels)
    limit = GaugeMetricFamily("pipeline_window_limit", "Requests that each window of the plan allows.", labels=labels)
    # Keyed by name: Prometheus rejects a page with one series twice, as for a limit that is configured twice.
    for window in {(window.limit, window.key): window for window in status.windows}.values():
        values = [window.limit, window.key or ""][: len(labels)]
        used.add_metric(values, window.used)
        limit.add_metric(values, Limit.parse(window.limit).count)
    yield from (used, limit)


def _heartbeat_metrics(beat: Heartbeat) -> Iterator[Metric]:
    yield from _instant("pipeline_heartbeat_timestamp_seconds", "When the daemon last sent a heartbeat.", beat.at)
    yield from _instant("pipeline_next_fire_timestamp_seconds", "When the next scheduled run starts.", beat.next_fire)
    yield CounterMetricFamily(
        "pipeline_timer_restarts", "How often the daemon's timer stalled and was restarted.", value=beat.timer_restarts
    )
    yield GaugeMetricFamily(
        "pipeline_config_last_reload_successful",
        "Whether the last reload of the configuration succeeded (1), or the previous one is still in force (0).",
        value=beat.refused is None,
    )


def _labelled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float]
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _instant(name: str, documentation: str, instant: datetime | None) -> Iterable[Metric]:
    """Return the instant as a gauge, nothing if there is none: 0 would mean 1970."""
    return [] if instant is None else [GaugeMetricFamily(name, documentation, value=instant.timestamp())]

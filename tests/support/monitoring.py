"""Heartbeats and statuses as examples, and pages of metrics read back."""

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as plain

from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.monitoring.status import Status
from tests.support.clocks import START

BEAT = Heartbeat(
    pid=7, started_at=START, at=START, state=DaemonState.IDLE, silent_seconds=0.0, next_fire=START, last_run=3
)
"""A heartbeat of a daemon that is idle and well."""
HEARTBEAT_KEYS = [
    "pid", "started_at", "at", "state", "run", "hindrance", "next_fire", "continues_at", "last_run", "last_status",
    "silent_seconds", "refused", "timer_restarts",
]  # fmt: skip
"""The keys of the heartbeat file, and of `daemon` in the JSON of status and health. They are stable."""
EMPTY = Status(
    last_run=None,
    last_success=None,
    runs={},
    on_demand_runs={},
    windows=(),
    snapshots=0,
    unknown=(),
    uncovered=(),
    pending=(),
    stale=(),
    fresh=0,
    last_backup=None,
    database_bytes=0,
)


def families(page: bytes) -> dict[str, Metric]:
    return {family.name: family for family in plain(page.decode())}


def values(page: bytes) -> dict[str, float]:
    """Return every sample of a page by its name and labels, as Prometheus would show it."""
    found: dict[str, float] = {}
    for family in plain(page.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, "Prometheus rejects a page that has a series twice"
            found[name] = sample.value
    return found

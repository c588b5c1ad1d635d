"""Heartbeats and statuses as examples, and pages of metrics read back."""

from datetime import timedelta
from uuid import UUID

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as plain

from pipeline.fleet.look import FleetLook
from pipeline.fleet.state import ActiveRun, FleetState, KeyState, Member, Server
from pipeline.monitoring.fleet_view import FleetView
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.monitoring.status import Status
from pipeline.quota.estimate import WindowUsage
from pipeline.store.log_place import Followed
from pipeline.store.noted_backups import NO_BACKUPS
from tests.support.clocks import START

HOUR = timedelta(hours=1)

BEAT = Heartbeat(
    pid=7, started_at=START, at=START, state=DaemonState.IDLE, silent_seconds=0.0, next_fire=START, last_run=3
)
"""A heartbeat of a daemon that is idle and well."""
HEARTBEAT_KEYS = [
    "pid", "started_at", "at", "state", "run", "hindrance", "next_fire", "continues_at", "last_run", "last_status",
    "silent_seconds", "refused", "timer_restarts",
]  # fmt: skip
"""The keys of the heartbeat file, and of `daemon` in the JSON of status and health. They are stable."""
AGREED = '{"keys":{"one":{"id":"k1","limits":["25/day"]}},"schedules":{}}'
KEY_STATE = KeyState("k1", "one", (WindowUsage("25/day", 1, 24, None),), None, None, None)
MEMBER = Member(
    "alpha", "member", "1.0", ("k1",), START - HOUR, START, None, timedelta(seconds=0.5), 10, 10, 5, "digest", None
)  # fmt: skip
ACTIVE_RUN = ActiveRun(
    7, "schedule", "daily", START - HOUR, START - HOUR, "alpha", is_alone=False, due=100, ended=50,
    last_ended_at=START - HOUR / 60, batches=2, batches_done=1, jobs=1, stalled=0, without_job=0,
)  # fmt: skip
FLEET = FleetState(
    UUID(int=1), 1, START - HOUR, Server(START, "18.1", is_standby=False, is_read_only=False), AGREED, START, "alpha",
    10, (MEMBER,), (KEY_STATE,), (ACTIVE_RUN,),
)  # fmt: skip
"""A fleet that is well: of one member, one key and one run."""
FLEET_VIEW = FleetView(FleetLook("alpha", FLEET, None), Followed(str(UUID(int=1)), 1, 7))
"""As its member sees it, whose file is three entries behind."""
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
    backups=NO_BACKUPS,
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

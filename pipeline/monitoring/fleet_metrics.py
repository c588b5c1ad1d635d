"""Metrics of the fleet: whether it can be reached, who runs, and how far this machine's file is behind its log."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily

from pipeline.fleet.state import FleetState, Presence
from pipeline.monitoring.fleet_view import FleetView


def fleet_metrics(fleet: FleetView) -> Iterator[Metric]:
    """Yield what is known of the fleet; what is not known is absent, not 0."""
    followed = "Entries of the fleet's log that this machine's file has."
    yield GaugeMetricFamily("pipeline_fleet_followed_entries", followed, value=fleet.followed)
    if fleet.look is None:
        return
    state = fleet.look.state
    reachable = "Whether the fleet's PostgreSQL answers (1) or not (0)."
    yield GaugeMetricFamily("pipeline_fleet_reachable", reachable, value=state is not None)
    if state is None:
        return
    yield from _of_state(state)
    yield GaugeMetricFamily(
        "pipeline_fleet_behind_entries",
        "Entries of the fleet's log that this machine's file has not got yet.",
        value=state.head if fleet.behind is None else fleet.behind,
    )
    yield GaugeMetricFamily(
        "pipeline_fleet_problems",
        "What is stuck in the fleet, as pipeline fleet lists it; without warnings.",
        value=sum(not problem.is_warning for problem in fleet.look.problems),
    )
    if fleet.look.member is not None:
        yield GaugeMetricFamily(
            "pipeline_fleet_clock_ahead_seconds",
            "This machine's clock less PostgreSQL's, as last measured.",
            value=fleet.look.member.clock_ahead.total_seconds(),
        )


def _of_state(state: FleetState) -> Iterator[Metric]:
    yield GaugeMetricFamily("pipeline_fleet_log_entries", "Entries of the fleet's log.", value=state.head)
    members = GaugeMetricFamily(
        "pipeline_fleet_members",
        "Machines of the fleet by role (member: it collects; follower) and state (running, dead, left).",
        labels=["role", "state"],
    )
    at = state.server.at
    known = Counter((one.role, one.presence(at)) for one in state.members if not one.is_forgotten(at))
    for role in ("member", "follower"):
        for presence in Presence:
            members.add_metric([role, presence.value], known[role, presence])
    yield members

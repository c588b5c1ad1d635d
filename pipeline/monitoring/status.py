"""The status of a database: its last run, the quota, and which symbols are stale; for health, metrics and alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.api.server_time import credible_until
from pipeline.fleet.look import Lookout
from pipeline.model.symbols import Symbol
from pipeline.monitoring.fleet_view import FleetView, view_fleet
from pipeline.monitoring.staleness import standings
from pipeline.quota.estimate import WindowUsage, window_usage
from pipeline.quota.keys import KeyPlan
from pipeline.quota.stored import quotas_named, shift_of
from pipeline.store.database import wal_bytes
from pipeline.store.noted_backups import NotedBackups
from pipeline.store.reader import Listed, Reader, Run
from pipeline.store.time_limit import LONGEST_READ
from pipeline.uptime import read_uptime


@dataclass(frozen=True, slots=True)
class Scope:
    """What a status covers, as configured."""

    symbols: tuple[Symbol, ...]
    """Where there are none, and the file follows a fleet, those that the fleet lists."""
    plans: tuple[KeyPlan, ...]
    stale_after: timedelta
    """A symbol that was not observed for longer is stale."""
    backup_after: timedelta
    """Where backups are made, the last one should not be older."""
    lookout: Lookout | None = None
    """How the fleet is seen, if this machine belongs to one."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status at an instant."""

    last_run: Run | None
    """The last run that ended. Missed fire times do not count."""
    last_success: datetime | None
    """When the last complete run ended."""
    runs: Mapping[str, int]
    """The number of runs by status, without those on demand."""
    on_demand_runs: Mapping[str, int]
    """The number of runs on demand by status."""
    windows: Sequence[WindowUsage]
    """In a fleet those of PostgreSQL; none while they are not known."""
    snapshots: int
    unknown: Sequence[Symbol]
    """Configured, and the API's last answer was `{}`."""
    uncovered: Sequence[Symbol]
    """Those of them that have snapshots."""
    pending: Sequence[Symbol]
    """Configured not long ago, and not observed since."""
    stale: Sequence[Symbol]
    """Configured, and not observed for too long."""
    fresh: int
    """The number of configured symbols that are none of these."""
    backups: NotedBackups
    """As far as the database knows."""
    database_bytes: int
    """Including the write-ahead log."""
    fleet: FleetView | None = None
    """The fleet that this machine belongs to, or that the file follows."""

    @property
    def is_quota_known(self) -> bool:
        """Whether the windows are all: those of a fleet only PostgreSQL knows."""
        return self.fleet is None or self.fleet.is_quota_known


def read_status(database: Path, scope: Scope, *, now: datetime, within: timedelta = LONGEST_READ) -> Status:
    """Return the status.

    Raise NoData if nothing is stored yet, DatabaseError if the file cannot be read, TooSlow if that takes too long.
    """
    fleet = view_fleet(database, scope.lookout)
    with Reader.open(database, within=within) as reader:
        states = reader.symbol_states()
        quotas = quotas_named(reader, scope.plans, now=now, shift=shift_of(reader, wall=now, uptime=read_uptime()))
        success = reader.last_complete_run()
        universe = reader.universe()
        is_of_fleet = fleet is not None and fleet.place is not None
        symbols = scope.symbols or (_listed(universe) if is_of_fleet else ())
        found = standings(symbols, states, universe, now=now, stale_after=scope.stale_after)
        return Status(
            last_run=reader.last_finished_run(),
            last_success=instants.from_text(success.finished_at) if success and success.finished_at else None,
            runs=reader.counts_by_status(),
            on_demand_runs=reader.on_demand_counts(),
            windows=fleet.windows if fleet else window_usage(quotas, now=now),
            snapshots=sum(state.snapshots for state in states.values()),
            unknown=found.unknown,
            uncovered=found.uncovered,
            pending=found.pending,
            stale=found.stale,
            fresh=len(found.fresh),
            backups=reader.backups(until=credible_until(now)),
            database_bytes=database.stat().st_size + wal_bytes(database),
            fleet=fleet,
        )


def _listed(universe: Mapping[str, Sequence[Listed]]) -> tuple[Symbol, ...]:
    """Return the symbols that are in a list at present."""
    return tuple(Symbol(symbol) for symbol, listed in universe.items() if listed[-1].until is None)

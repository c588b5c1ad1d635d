"""`pipeline status`: the last run, quota left, stale symbols, API drift, and whether a daemon runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline import instants
from pipeline.api.server_time import credible_until
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.fleet_list import as_followed
from pipeline.cli.options import Options, examples, json_option, reading_options
from pipeline.cli.output import print_facts, print_json, to_second
from pipeline.cli.quota_table import Blocks, block_lines, print_windows, window_json
from pipeline.cli.readable import readable
from pipeline.cli.run_outcomes import run_outcomes
from pipeline.cli.scope import lookout_of
from pipeline.errors import ExitCode
from pipeline.fleet.look import Lookout
from pipeline.model.changes import Change
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import backup_ahead
from pipeline.monitoring.conditions import ABSENT_FIELD, NEW_FIELD, UNREADABLE_FIELD
from pipeline.monitoring.fleet_view import FleetView, view_fleet
from pipeline.monitoring.heartbeat import DamagedHeartbeat, Heartbeat
from pipeline.monitoring.staleness import Standings, standings
from pipeline.monitoring.threshold import check_threshold
from pipeline.query.history import History
from pipeline.quota.estimate import KeyQuota, WindowUsage, nothing_used, window_usage
from pipeline.quota.stored import presumed_requests, quotas_named, shift_of
from pipeline.settings.load import Settings
from pipeline.store.drift import Drift
from pipeline.store.lock import is_daemon_running, is_free
from pipeline.store.noted_backups import NO_BACKUPS, NotedBackups
from pipeline.store.reader import NoData, Reader, Run, SymbolState
from pipeline.store.time_limit import LONGEST_READ
from pipeline.text import count, few
from pipeline.uptime import read_uptime

_RECENT = timedelta(days=7)
"""Missed runs are shown for this long."""


@dataclass(frozen=True, slots=True)
class _Report:
    last_run: Run | None
    on_demand: Run | None
    """The last run that clients caused."""
    missed: list[Run]
    """Recent scheduled times without a run."""
    windows: Sequence[WindowUsage]
    """Empty where a fleet's are not known."""
    states: dict[str, SymbolState]
    symbols: Standings
    """How the configured symbols stand."""
    drift: Drift
    suspicious: list[Change]
    """Suspicious changes since the last run began."""
    beat: Heartbeat | None
    """None if no daemon runs."""
    next_run: datetime | None
    backups: NotedBackups = NO_BACKUPS
    presumed: int = 0
    """How many of the requests that count may never have been sent."""
    blocks: Blocks = ()
    """What blocks each key."""
    is_stored: bool = True
    """Whether there is a database."""
    companies: int = 0
    """How many have a snapshot; one that was renamed counts once."""
    has_died: bool = False
    """Whether the process of the last run died before the run ended."""
    fleet: FleetView | None = None
    """The fleet that this machine belongs to, or that the file follows."""

    @property
    def is_quota_known(self) -> bool:
        return self.fleet is None or self.fleet.is_quota_known

    @property
    def snapshots(self) -> int:
        return sum(state.snapshots for state in self.states.values())


@click.command(epilog=examples("pipeline status", "pipeline status --json | jq .stale"))
@json_option
@reading_options
def command(options: Options, *, as_json: bool) -> int:
    """Show the last run, quota left, stale symbols, API drift, and whether a daemon runs.

    Exits with 7 if a configured symbol is stale (not observed for stale_after_hours), or there is no database yet.
    """
    variables = read_environment()
    settings = as_followed(load_settings(options, variables))
    status = _read(settings, options, lookout_of(settings, variables))
    if as_json:
        print_json(
            {
                "database": str(settings.database),
                "snapshots": status.snapshots,
                "companies": status.companies,
                "daemon": status.beat and status.beat.texts(),
                "next_run": status.next_run and instants.to_text(status.next_run),
                "last_run": status.last_run and asdict(status.last_run),
                "last_run_on_demand": status.on_demand and asdict(status.on_demand),
                "missed": len(status.missed),
                "windows": [window_json(window) for window in status.windows] if status.is_quota_known else None,
                "presumed_requests": status.presumed if status.is_quota_known else None,
                "stale": status.symbols.stale,
                "pending": status.symbols.pending,
                "unknown": status.symbols.unknown,
                "uncovered": status.symbols.uncovered,
                "drift": asdict(status.drift),
                "suspicions": [
                    {"symbol": one.symbol, "field": one.field, "suspicion": one.suspicion} for one in status.suspicious
                ],
                "last_backup": status.backups.last and instants.to_text(status.backups.last),
                "threshold": check_threshold(settings).facts(),
                "fleet": status.fleet and status.fleet.facts(),
            }
        )
    else:
        _print(settings, status, options)
    return ExitCode.STALE if status.symbols.stale or not status.is_stored else ExitCode.DONE


def _read(settings: Settings, options: Options, lookout: Lookout | None) -> _Report:
    now = instants.utc_now()
    fleet = view_fleet(settings.database, lookout)
    beat = _heartbeat(settings.database, options)
    next_run = min(filter(None, (schedule.next(now) for schedule in settings.schedules)), default=None)
    try:
        with readable(settings.database, options) as database, Reader.open(database) as reader:
            states = reader.symbol_states()
            suspicious, companies = _of_history(database)
            shift = shift_of(reader, wall=now, uptime=read_uptime())
            windows, blocks = _quota(quotas_named(reader, settings.plans, now=now, shift=shift), fleet, now)
            last_run = reader.last_run()
            return _Report(
                last_run=last_run,
                has_died=fleet is None and database == settings.database and _has_died(last_run, database),
                on_demand=reader.last_run_on_demand(),
                missed=reader.missed_fire_times(now - _RECENT),
                windows=windows,
                presumed=presumed_requests(reader, settings.plans, now=now, shift=shift) if fleet is None else 0,
                blocks=blocks,
                states=states,
                symbols=standings(
                    settings.all_symbols, states, reader.universe(), now=now, stale_after=settings.stale_after
                ),
                drift=reader.drift(),
                suspicious=suspicious,
                beat=beat,
                next_run=next_run,
                backups=reader.backups(until=credible_until(now)),
                companies=companies,
                fleet=fleet,
            )
    except NoData as nothing:
        options.say(str(nothing))
        windows, blocks = _quota(nothing_used(settings.plans), fleet, now)
        return _Report(
            last_run=None,
            on_demand=None,
            missed=[],
            windows=windows,
            blocks=blocks,
            states={},
            symbols=standings(settings.all_symbols, {}, {}, now=now, stale_after=settings.stale_after),
            drift=Drift([], [], []),
            suspicious=[],
            beat=beat,
            next_run=next_run,
            is_stored=False,
            fleet=fleet,
        )


def _quota(own: list[KeyQuota], fleet: FleetView | None, now: datetime) -> tuple[Sequence[WindowUsage], Blocks]:
    """Return how much of each window is used, and what blocks each key: by the file, or in a fleet by PostgreSQL."""
    if fleet is None:
        return window_usage(own, now=now), [(one.name, one.state.block) for one in own]
    keys = [] if fleet.look is None or fleet.look.state is None else fleet.look.state.usable_keys
    return fleet.windows, [(key.label if len(keys) > 1 else "", key.block) for key in keys]


def _has_died(run: Run | None, database: Path) -> bool:
    """Return whether the process of a run died: nothing holds the lock, and the run has not ended meanwhile."""
    if run is None or run.status != RunStatus.RUNNING or not is_free(database):
        return False
    with Reader.open(database) as reader:
        now = reader.run(run.id)
        return now is not None and now.status == RunStatus.RUNNING


def _heartbeat(database: Path, options: Options) -> Heartbeat | None:
    """Return the heartbeat of the daemon that runs on the database, None if none does, or it is damaged."""
    try:
        return heartbeat.read(database) if is_daemon_running(database) else None
    except DamagedHeartbeat as damage:
        options.say(str(damage))
        return None


def _of_history(database: Path) -> tuple[list[Change], int]:
    """Return the suspicious changes since the last run began, and how many companies have a snapshot."""
    with History.open(database) as history, history.within(LONGEST_READ, is_over=lambda: False):
        since = history.last_run_started_at()
        suspicious = [] if since is None else list(history.changes(since=since, suspicious=True))
        return suspicious, len(history.symbols())


def _print(settings: Settings, status: _Report, options: Options) -> None:
    print_facts(
        {
            "database": settings.database,
            "stored": f"{count(status.snapshots, 'snapshot')} of {count(status.companies, 'company', 'companies')}",
            **_run_lines(status.last_run, has_died=status.has_died),
            **_on_demand_line(status.on_demand),
            **_missed_line(status.missed),
            **_fleet_line(status.fleet),
            **_daemon_lines(status.beat, status.next_run, status.fleet),
            **_symbol_lines(status.symbols, is_stored=status.is_stored),
            **_future_line(status.symbols.ahead, options),
            **_threshold_line(settings),
            **_backup_line(status.backups),
            **block_lines(status.blocks, now=instants.utc_now()),
            **_presumed_line(status),
            **_drift_lines(status.drift),
            **_suspicious_line(status.suspicious, options),
        }
    )
    if status.is_quota_known:
        print_windows(status.windows)


def _fleet_line(fleet: FleetView | None) -> dict[str, str]:
    """Return a line about the fleet, none where there is none."""
    return {} if fleet is None else {"fleet": fleet.line()}


def _run_lines(run: Run | None, *, has_died: bool) -> dict[str, str]:
    if run is None:
        return {"last run": "none yet"}
    outcomes = run_outcomes(run)
    if run.status == RunStatus.RUNNING:
        done = sum(getattr(run, outcome) for outcome in Outcome)
        outcomes = f"{done:,} of {run.due:,} " + (
            "when its process died" if has_died else "so far, unless its process died"
        )
    lines = {"last run": f"{run.id}, {to_second(run.started_at)} UTC: {run.status}", "": outcomes}
    return {**lines, "reason": run.detail} if run.detail else lines


def _on_demand_line(run: Run | None) -> dict[str, str]:
    """Return a line about the last run that clients caused, none if there was none."""
    if run is None:
        return {}
    detail = f": {run.detail}" if run.detail else ""
    return {"on demand": f"{run.id}, {to_second(run.started_at)} UTC: {run.status}, {run_outcomes(run)}{detail}"}


def _missed_line(missed: list[Run]) -> dict[str, str]:
    """Return a line about scheduled times without a run, none if there were none."""
    if not missed:
        return {}
    last = missed[-1]
    runs = f"{count(len(missed), 'run')} in {_RECENT.days} days"
    return {"missed": f"{runs}, the last at {to_second(last.scheduled_for)} UTC: {last.detail}"}


def _daemon_lines(beat: Heartbeat | None, next_run: datetime | None, fleet: FleetView | None) -> dict[str, str]:
    """Return what the daemon is doing, and when it runs next."""
    at = "-" if next_run is None else f"{instants.for_people(next_run)} UTC"
    if beat is None:
        return {"daemon": "not running", "next run": at if next_run is None else at + _if_started(fleet)}
    lines = {"daemon": f"{beat.state}, process {beat.pid}" + (f": {beat.blocked_by}" if beat.blocked_by else "")}
    if not beat.is_fresh(instants.utc_now()):
        lines["daemon"] = f"process {beat.pid}, no heartbeat since {instants.for_people(beat.at)} UTC"
    if beat.resumes_at is not None:
        lines["continues"] = f"{instants.for_people(beat.resumes_at)} UTC, with what the last run did not request"
    if beat.refused is not None:
        lines["refused"] = f"new configuration: {beat.refused}"
    return {**lines, "next run": at}


def _if_started(fleet: FleetView | None) -> str:
    """Return what the next run depends on, while no daemon runs here: in a fleet, another machine may begin it."""
    if fleet is None or fleet.holds_own_record:
        return ", if you start pipeline run"
    is_known = fleet.look is not None and fleet.look.state is not None
    return ", if a member of the fleet runs" if is_known and not fleet.has_members else ""


def _count_and_names(symbols: Sequence[str]) -> str:
    return f"{len(symbols):,}" + (f" ({few(symbols)})" if symbols else "")


def _symbol_lines(symbols: Standings, *, is_stored: bool) -> dict[str, str]:
    """Return how many symbols are stale and not covered, and if there are any, pending or not covered any more."""
    had_snapshots = set(symbols.uncovered)
    lines = {"stale": _count_and_names(symbols.stale)}
    if symbols.pending:
        lines["pending"] = f"{_count_and_names(symbols.pending)}: not observed since they were configured"
    if symbols.unseen and is_stored:
        lines["unseen"] = (
            f"{_count_and_names(symbols.unseen)}: new in the list since the last run; collect, or reload the daemon"
        )
    lines["not covered"] = _count_and_names([one for one in symbols.unknown if one not in had_snapshots])
    if symbols.uncovered:
        lines["uncovered"] = f"{_count_and_names(symbols.uncovered)}: have snapshots, but the API now answers {{}}"
    return lines


def _future_line(ahead: Sequence[Symbol], options: Options) -> dict[str, str]:
    """Return a line if symbols were last seen in the future, none if not."""
    return {"in the future": f"{_count_and_names(ahead)} last seen: {options.command('doctor')}"} if ahead else {}


def _threshold_line(settings: Settings) -> dict[str, object]:
    """Return a line if symbols must become stale whatever the daemon does, none if not."""
    problem = check_threshold(settings).problem
    return {} if problem is None else {"threshold": problem}


def _backup_line(noted: NotedBackups) -> dict[str, str]:
    """Return a line about the last backup, none if there was none."""
    last = None if noted.last is None else f"{instants.for_people(noted.last)} UTC"
    ahead = None if noted.ahead is None else f"{backup_ahead(noted.ahead)}: it does not count"
    return {"last backup": ", and ".join(filter(None, (last, ahead)))} if last or ahead else {}


def _presumed_line(status: _Report) -> dict[str, str]:
    """Return a line if some of what the windows count may never have been sent, none if all of it was."""
    if not (status.presumed and status.windows):
        return {}
    return {"presumed": f"{count(status.presumed, 'request')}, the most that a killed run without limits may have sent"}


def _drift_lines(drift: Drift) -> dict[str, str]:
    """Return a line for each way in which the API's fields have changed, none if they have not."""
    lines = {
        "new fields": (drift.unknown_fields, NEW_FIELD),
        "absent fields": (drift.absent_fields, ABSENT_FIELD),
        "unreadable": (drift.unreadable_fields, UNREADABLE_FIELD),
    }
    return {name: f"{few(fields)}: {meaning}" for name, (fields, meaning) in lines.items() if fields}


def _suspicious_line(changes: list[Change], options: Options) -> dict[str, str]:
    """Return a line about suspicious changes, none if there are none."""
    if not changes:
        return {}
    found = few(list(dict.fromkeys(f"{one.symbol} {one.field}" for one in changes)))
    return {"suspicious": f"{found}: {options.command('changes')} --suspicious"}

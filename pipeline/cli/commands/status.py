"""`pipeline status`: the last run, the quota, what is stale, and drift."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, global_options, json_option
from pipeline.cli.output import moment, print_facts, print_json
from pipeline.cli.rate_limits import print_windows, window_json
from pipeline.errors import ExitCode
from pipeline.model.changes import Change
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.slots import QuotaState
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.query.history import History
from pipeline.quota.estimate import WindowUsage, window_usage
from pipeline.quota.limits import longest_window
from pipeline.settings.load import Settings
from pipeline.store.drift import Drift
from pipeline.store.lock import is_daemon_running
from pipeline.store.reader import NoData, Reader, Run, SymbolState, stale
from pipeline.text import few

_LATELY = timedelta(days=7)
"""How far back fire times that were missed are told."""


@dataclass(frozen=True, slots=True)
class _Status:
    last_run: Run | None
    missed: list[Run]
    """Fire times of the last days that nothing ran for."""
    windows: list[WindowUsage]
    states: dict[str, SymbolState]
    stale: list[Symbol]
    drift: Drift
    odd: list[Change]
    """What the last run saw that the market cannot explain."""
    beat: Heartbeat | None
    """The daemon's last word, None if none runs."""
    next_run: datetime | None

    @property
    def snapshots(self) -> int:
        return sum(state.snapshots for state in self.states.values())

    @property
    def companies(self) -> int:
        return sum(1 for state in self.states.values() if state.snapshots)

    def unknown(self, symbols: Sequence[Symbol]) -> list[Symbol]:
        """Return the configured symbols that the API does not cover."""
        return [symbol for symbol in symbols if symbol in self.states and self.states[symbol].state == "unknown"]


@click.command(epilog="Examples: pipeline status; pipeline status --json | jq .stale")
@json_option
@global_options
@click.pass_context
def command(ctx: click.Context, options: Options, *, as_json: bool) -> None:
    """Show how things stand. Ends with 7 if a configured symbol is stale: not looked at for `stale_after_hours`."""
    settings = load_settings(options)
    status = _read(settings, options)
    unknown = status.unknown(settings.all_symbols)
    if as_json:
        print_json(
            {
                "database": str(settings.database),
                "snapshots": status.snapshots,
                "companies": status.companies,
                "daemon": status.beat and status.beat.texts(),
                "next_run": status.next_run and instants.to_text(status.next_run),
                "last_run": status.last_run and asdict(status.last_run),
                "missed": len(status.missed),
                "windows": [window_json(window) for window in status.windows],
                "stale": status.stale,
                "unknown": unknown,
                "drift": asdict(status.drift),
                "suspicions": [
                    {"symbol": one.symbol, "field": one.field, "suspicion": one.suspicion} for one in status.odd
                ],
            }
        )
    else:
        _print(settings, status, unknown)
    ctx.exit(ExitCode.STALE if status.stale else ExitCode.DONE)


def _read(settings: Settings, options: Options) -> _Status:
    now = instants.utc_now()
    since = now - settings.stale_after
    beat = heartbeat.read(settings.database)
    beat = beat if beat is not None and is_daemon_running(settings.database) else None
    next_run = min(filter(None, (schedule.next(now) for schedule in settings.schedules)), default=None)
    try:
        with Reader.open(settings.database) as record:
            states = record.symbol_states()
            return _Status(
                last_run=record.last_run(),
                missed=record.missed_fire_times(now - _LATELY),
                windows=window_usage(
                    settings.limits, record.quota_state(now - longest_window(settings.limits)), now=now
                ),
                states=states,
                stale=stale(
                    settings.all_symbols, states, observed_since=since, scheduled_since=record.scheduled_since()
                ),
                drift=record.drift(),
                odd=_odd(settings.database),
                beat=beat,
                next_run=next_run,
            )
    except NoData as nothing:
        options.say(str(nothing))
        windows = window_usage(settings.limits, QuotaState(), now=now)
        return _Status(None, [], windows, {}, list(settings.all_symbols), Drift([], [], []), [], beat, next_run)


def _odd(database: Path) -> list[Change]:
    with History.open(database) as record:
        since = record.last_run_started_at()
        return [] if since is None else list(record.changes(since=since, suspicious=True))


def _print(settings: Settings, status: _Status, unknown: list[Symbol]) -> None:
    print_facts(
        {
            "database": settings.database,
            "kept": f"snapshots {status.snapshots:,}, companies {status.companies:,}",
            **_run_in_words(status.last_run),
            **_missed_in_words(status.missed),
            **_daemon_in_words(status.beat, status.next_run),
            "stale": f"{len(status.stale):,}" + _named(status.stale),
            "not covered": f"{len(unknown):,}" + _named(unknown),
            **_drift_in_words(status.drift),
            **_odd_in_words(status.odd),
        }
    )
    print_windows(status.windows)


def _run_in_words(run: Run | None) -> dict[str, str]:
    if run is None:
        return {"last run": "none yet"}
    counts = {name: getattr(run, name) for name in Outcome}
    asked = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing was due"
    if run.status == RunStatus.RUNNING:
        asked = f"{sum(counts.values()):,} of {run.due:,} so far, unless its process has died"
    lines = {"last run": f"{run.id}, {moment(run.started_at)} UTC: {run.status}", "": asked}
    return {**lines, "because": run.detail} if run.detail else lines


def _missed_in_words(missed: list[Run]) -> dict[str, str]:
    """Return a line for the fire times that nothing ran for, none if there were none."""
    if not missed:
        return {}
    last = missed[-1]
    times = "1 fire time" if len(missed) == 1 else f"{len(missed):,} fire times"
    return {"missed": f"{times} in {_LATELY.days} days, the last {moment(last.scheduled_for)} UTC: {last.detail}"}


def _daemon_in_words(beat: Heartbeat | None, next_run: datetime | None) -> dict[str, str]:
    """Return what the daemon is at, and when it runs next."""
    at = "-" if next_run is None else f"{instants.for_people(next_run)} UTC"
    if beat is None:
        return {"daemon": "not running", "next run": f"{at}, if pipeline run is started"}
    lines = {"daemon": f"{beat.state}, process {beat.pid}" + (f": {beat.hindrance}" if beat.hindrance else "")}
    if not beat.is_fresh(instants.utc_now()):
        lines["daemon"] = f"process {beat.pid}, not heard of since {instants.for_people(beat.at)} UTC"
    if beat.continues_at is not None:
        lines["goes on"] = f"{instants.for_people(beat.continues_at)} UTC, with what the last run did not ask"
    if beat.refused is not None:
        lines["refused"] = f"the new configuration: {beat.refused}"
    return {**lines, "next run": at}


def _named(symbols: Sequence[str]) -> str:
    return f" ({few(symbols)})" if symbols else ""


def _drift_in_words(drift: Drift) -> dict[str, str]:
    """Return a line for each way in which the API's fields have moved, none where they have not."""
    lines = {
        "new fields": (drift.unknown_fields, "sent, and kept in extra"),
        "absent fields": (drift.absent_fields, "no longer sent for any symbol"),
        "unreadable": (drift.unreadable_fields, "in a spelling that no column takes; kept in extra"),
    }
    return {name: f"{few(fields)}: {meaning}" for name, (fields, meaning) in lines.items() if fields}


def _odd_in_words(odd: list[Change]) -> dict[str, str]:
    """Return a line for what is suspicious, none where nothing is."""
    if not odd:
        return {}
    return {"suspicious": f"{few([f'{one.symbol} {one.field}' for one in odd])}: pipeline changes --suspicious"}

"""`pipeline plan`: what is due, what it costs, and when it would be done. Sends no request."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.fleet_list import as_followed
from pipeline.cli.options import Options, examples, json_option, reading_options
from pipeline.cli.output import print_facts, print_json
from pipeline.cli.quota_table import block_lines, print_windows, window_json
from pipeline.cli.readable import readable
from pipeline.cli.scope import lookout_of
from pipeline.collect.due import Selection, select_due
from pipeline.errors import Trouble
from pipeline.fleet.look import Lookout
from pipeline.monitoring.fleet_view import QUOTA_ELSEWHERE
from pipeline.monitoring.threshold import Threshold, check_threshold, span_text
from pipeline.quota.estimate import KeyQuota, finish_at, nothing_used, window_usage
from pipeline.quota.stored import quotas_named, shift_of
from pipeline.settings.load import Settings
from pipeline.store.log_place import followed
from pipeline.store.reader import NoData, Reader
from pipeline.text import few
from pipeline.uptime import read_uptime


@click.command(epilog=examples("pipeline plan", "PIPELINE_SOURCE__PLAN=premium-75 pipeline plan"))
@json_option
@reading_options
def command(options: Options, *, as_json: bool) -> None:
    """Show what a run would request now, and when it would be done at this plan's pace. Sends no request."""
    variables = read_environment()
    settings = as_followed(load_settings(options, variables))
    if not settings.all_symbols:
        options.say("no symbols are configured: list them in the file that pipeline init creates")
    todo, own = _read(settings, options)
    quota = _quota(own, settings.database, lookout_of(settings, variables))
    now, keys = quota.at, quota.keys or []
    done_at = finish_at(keys, requests=len(todo.due), now=now) if keys else None
    days = _days(done_at, now)
    threshold = check_threshold(settings)
    windows = window_usage(keys, now=now)
    if as_json:
        print_json(
            {
                "symbols": len(settings.all_symbols),
                "due": len(todo.due),
                "fresh": todo.fresh,
                "waiting_unknown": todo.waiting,
                "requests": len(todo.due),
                "finish_at": done_at and instants.to_text(done_at),
                "days": None if quota.keys is None else days,
                "windows": None if quota.keys is None else [window_json(window) for window in windows],
                "threshold": threshold.facts(),
                "fleet": quota.of_fleet and {"reachable": quota.trouble is None, "trouble": quota.trouble},
            }
        )
        return
    print_facts(
        {
            "symbols": len(settings.all_symbols),
            "due": f"{len(todo.due):,}" + (f" ({few(todo.due, 5)})" if todo.due else ""),
            "fresh": f"{todo.fresh:,}, observed within {settings.fresh_for.total_seconds() / 3600:g} h",
            "not covered": f"{todo.waiting:,}, retried later",
            "requests": f"{len(todo.due):,}, plus retries",
            "done by": _done_text(done_at, days) if keys else "not known",
            **({"fleet": quota.trouble or _OF_FLEET} if quota.of_fleet else {}),
            **block_lines([(key.name, key.state.block) for key in keys], now=now),
            **_full_pass_line(settings, threshold),
            **({} if threshold.problem is None else {"threshold": threshold.problem}),
        }
    )
    if keys:
        print_windows(windows)


def _full_pass_line(settings: Settings, threshold: Threshold) -> dict[str, str]:
    """Return a line about how long a symbol waits at most, none where no schedule is known."""
    by = "plan and schedule" if settings.plans else "schedule"
    return {"full pass": f"{span_text(threshold.full_pass)} at most, by {by}"} if settings.schedules else {}


_OF_FLEET = "quota and times are those of the whole fleet"


@dataclass(frozen=True, slots=True)
class _Quota:
    """What the plans still allow, at an instant."""

    at: datetime
    keys: list[KeyQuota] | None
    """None: it is not known."""
    of_fleet: bool = False
    trouble: str | None = None
    """Why it is not known."""


def _quota(own: list[KeyQuota], database: Path, lookout: Lookout | None) -> _Quota:
    """Return what may be requested: by the file, or in a fleet by PostgreSQL."""
    if lookout is None and followed(database) is not None:
        return _Quota(instants.utc_now(), None, of_fleet=True, trouble=QUOTA_ELSEWHERE)
    if lookout is None:
        return _Quota(instants.utc_now(), own)
    try:
        at, keys = lookout.quotas()
    except Trouble as trouble:
        return _Quota(instants.utc_now(), None, of_fleet=True, trouble=str(trouble))
    return _Quota(at, keys, of_fleet=True)


def _days(done_at: datetime | None, now: datetime) -> int:
    """Return how many days it takes: 0 if nothing is due."""
    return 0 if done_at is None else max(math.ceil((done_at - now) / timedelta(days=1)), 1)


def _done_text(done_at: datetime | None, days: int) -> str:
    if done_at is None:
        return "now: nothing is due"
    over = f", over {days:,} days, stalest first" if days > 1 else ""
    return f"{instants.for_people(done_at)} UTC{over}"


def _read(settings: Settings, options: Options) -> tuple[Selection, list[KeyQuota]]:
    now = instants.utc_now()
    since = now - settings.fresh_for
    try:
        with readable(settings.database, options) as database, Reader.open(database) as reader:
            shift = shift_of(reader, wall=now, uptime=read_uptime())
            todo = select_due(settings.all_symbols, reader.freshness(), observed_since=since, now=now)
            return todo, quotas_named(reader, settings.plans, now=now, shift=shift)
    except NoData:
        return select_due(settings.all_symbols, (), observed_since=since, now=now), nothing_used(settings.plans)

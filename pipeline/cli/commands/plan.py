"""`pipeline plan`: what is due, what it costs, and when it would be done. Sends no request."""

import math
from datetime import datetime, timedelta

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, examples, json_option, reading_options
from pipeline.cli.output import print_facts, print_json
from pipeline.cli.quota_table import block_lines, print_windows, window_json
from pipeline.cli.readable import readable
from pipeline.collect.due import Selection, select_due
from pipeline.monitoring.threshold import check_threshold, span_text
from pipeline.quota.estimate import KeyQuota, finish_at, nothing_used, window_usage
from pipeline.quota.stored import quotas_named
from pipeline.settings.load import Settings
from pipeline.store.reader import NoData, Reader
from pipeline.text import few


@click.command(epilog=examples("pipeline plan", "PIPELINE_SOURCE__PLAN=premium-75 pipeline plan"))
@json_option
@reading_options
def command(options: Options, *, as_json: bool) -> None:
    """Show what a run would request now, and when it would be done at this plan's pace. Sends no request."""
    settings = load_settings(options)
    if not settings.all_symbols:
        options.say("no symbols are configured: list them in the file that pipeline init creates")
    now = instants.utc_now()
    todo, quotas = _read(settings, options)
    done_at = finish_at(quotas, requests=len(todo.due), now=now)
    days = _days(done_at, now)
    threshold = check_threshold(settings)
    windows = window_usage(quotas, now=now)
    if as_json:
        print_json(
            {
                "symbols": len(settings.all_symbols),
                "due": len(todo.due),
                "fresh": todo.fresh,
                "waiting_unknown": todo.waiting,
                "requests": len(todo.due),
                "finish_at": done_at and instants.to_text(done_at),
                "days": days,
                "windows": [window_json(window) for window in windows],
                "threshold": threshold.facts(),
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
            "done by": _done_text(done_at, days),
            **block_lines(quotas, now=now),
            "full pass": f"{span_text(threshold.full_pass)} at most, by plan and schedule",
            **({} if threshold.problem is None else {"threshold": threshold.problem}),
        }
    )
    print_windows(windows)


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
            todo = select_due(settings.all_symbols, reader.freshness(), observed_since=since, now=now)
            return todo, quotas_named(reader, settings.plans, now=now)
    except NoData:
        return select_due(settings.all_symbols, (), observed_since=since, now=now), nothing_used(settings.plans)

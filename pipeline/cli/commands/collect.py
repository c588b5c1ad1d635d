"""`pipeline collect`: request the overviews that are due, once, and print what came of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

import click

from pipeline import instants
from pipeline.cli.api_source import (
    SANDBOX_LATENCY,
    refuse_mixing,
    sandbox_keys,
    sandbox_settings,
    serve_sandbox,
    source,
)
from pipeline.cli.configuration import load_settings, parse_symbols, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_run, when_to_begin
from pipeline.cli.fleet_conflicts import refuse_other_record
from pipeline.cli.fleet_run import collect_in_fleet
from pipeline.cli.options import (
    Options,
    Whole,
    day_option,
    examples,
    global_options,
    json_option,
    new_record_option,
    wait_option,
)
from pipeline.cli.output import print_json, print_line, print_table, shown
from pipeline.cli.params import symbols_argument
from pipeline.cli.run_progress import collection_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.run import collect, log_end
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode
from pipeline.model.outcomes import MEANING, Outcome, RunStatus
from pipeline.model.renames import config_line
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey, KeyPlan, plans_text
from pipeline.settings.api_keys import api_keys
from pipeline.settings.environment import Environment
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.load import Settings
from pipeline.settings.near_misses import no_symbols
from pipeline.settings.renames import CurrentNames
from pipeline.settings.secrets import redaction, refuse_keys
from pipeline.store.database import DatabaseError, refuse_foreign
from pipeline.store.maintenance import prune_outcomes
from pipeline.store.record import Begin
from pipeline.store.writer import open_writer
from pipeline.text import count


@click.command(
    epilog=examples("pipeline collect", "pipeline collect AAPL BRK-B", "pipeline collect --sandbox --day 2026-03-14")
)
@symbols_argument
@click.option("--force", is_flag=True, help="Request every symbol, however fresh it is.")
@click.option("--max-requests", metavar="N", type=Whole(1), help="Send at most this many requests.")
@wait_option("another collect")
@click.option(
    "--sandbox",
    is_flag=True,
    help="Use a simulated API, and sandbox.db beside the database unless --database names one; needs no key.",
)
@day_option("With --sandbox: simulate this day, to build up some history.")
@click.option("--latency", metavar="MS", type=Whole(0, 60_000), help="With --sandbox: delay of each response [200].")
@new_record_option
@json_option
@global_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    symbols: tuple[str, ...],
    force: bool,
    max_requests: int | None,
    max_wait: timedelta,
    sandbox: bool,
    day: datetime | None,
    latency: int | None,
    new_record: bool,
    as_json: bool,
) -> int:
    """Request the overview of every configured symbol that is due, stalest first, and store every response.

    SYMBOLS named here are requested however fresh they are. Ctrl-C lets requests in flight finish; pressed twice, it
    quits at once.
    """
    if not sandbox:
        _refuse_sandbox_options(ctx, day, latency)
    begin = when_to_begin(new_record=new_record, sandbox=sandbox)
    variables = read_environment()
    settings = load_settings(options, variables)
    if sandbox:
        settings = sandbox_settings(settings, options.database)
    elif settings.config is None:
        options.say(f"no configuration file: using defaults and the database {settings.database}")
    url = None if settings.fleet is None else needed_fleet_url(variables)
    wanted = _wanted(symbols, settings, options, variables)
    refuse_keys(wanted, redaction(variables))
    keys = sandbox_keys(settings) if sandbox else api_keys(variables, settings)
    configure_logs(options, redact=redaction(variables, settings.proxy))
    refuse_foreign(settings.database)
    refuse_other_record(settings.database, settings.fleet)
    refuse_mixing(settings.database, settings.base_url, sandbox=sandbox)
    clock = _clock(day)
    if day is not None and day.date() > instants.utc_now().date():
        options.say(f"--day {day:%Y-%m-%d} is after today: until then its observations stay the newest")
    order = Order(
        wanted,
        None if symbols or force else clock.now() - settings.fresh_for,
        max_requests=max_requests,
        listed=None if symbols else settings.listed,
    )
    if settings.fleet is not None and url is not None:
        collected = collect_in_fleet(settings, settings.fleet, url, order, options, keys=keys, begin=begin)
        summary = run_async(collected)
        held = tuple(plan for plan in settings.plans if plan.name in {key.name for key in keys})
        _report(summary, replace(settings, plans=held), options, as_json=as_json, sandbox=False)
        return summary.exit_code
    delay = SANDBOX_LATENCY if latency is None else timedelta(milliseconds=latency)
    served = serve_sandbox(settings, now=clock.now, latency=delay) if sandbox else nullcontext(settings.base_url)
    summary = run_async(
        _collect(settings, served, order, options, keys=keys, clock=clock, begin=begin, max_wait=max_wait)
    )
    _report(summary, settings, options, as_json=as_json, sandbox=sandbox)
    return summary.exit_code


def _refuse_sandbox_options(ctx: click.Context, day: datetime | None, latency: int | None) -> None:
    if day is not None:
        raise click.UsageError("--day needs --sandbox: the real API only knows today", ctx)
    if latency is not None:
        raise click.UsageError("--latency needs --sandbox: it delays the responses of the simulated API", ctx)


def _wanted(named: tuple[str, ...], settings: Settings, options: Options, variables: Environment) -> tuple[Symbol, ...]:
    """Return the symbols named, else those configured. Raise SettingsError if there are none."""
    symbols, replaced = CurrentNames(settings.renames, instants.utc_now()).of(parse_symbols(named, options))
    for notice in replaced:
        options.say(notice)
    symbols = symbols or settings.all_symbols
    if not symbols:
        remedy = "name some (pipeline collect AAPL), or list them in the file that pipeline init creates"
        raise no_symbols(variables, remedy)
    return symbols


def _clock(day: date | None) -> Clock:
    """Return the clock, moved to the given day if there is one: the machine's uptime then says nothing about it."""
    if day is None:
        return REAL_CLOCK
    shift = timedelta(days=(day.toordinal() - instants.utc_now().toordinal()))
    return Clock(lambda: instants.utc_now() + shift, uptime=lambda: None)


async def _collect(
    settings: Settings,
    served: AbstractAsyncContextManager[str],
    order: Order,
    options: Options,
    *,
    keys: tuple[ApiKey, ...],
    clock: Clock,
    begin: Begin,
    max_wait: timedelta,
) -> Summary:
    halt = Halt()
    async with collection_progress(options) as progress:
        with interruptible(halt, progress.cancel_requests, options):
            async with (
                exclusive_run(
                    settings.database,
                    "collect",
                    begin=begin,
                    limits=settings.limits,
                    renames=settings.configured_renames,
                    max_wait=max_wait,
                    options=options,
                ),
                served as base_url,
            ):
                api = source(settings, base_url, keys)
                summary = await collect(
                    settings.database, api, order, halt=halt, on_start=progress.started, clock=clock
                )
                await _prune(settings, summary, now=clock.now())
                return replace(summary, blocks=progress.blocks)


async def _prune(settings: Settings, summary: Summary, *, now: datetime) -> None:
    """Delete outcomes that are not kept, as a daemon does once a day; old ones only if answers agree with the clock."""
    is_right = any(summary.counts[outcome] for outcome in (Outcome.STORED, Outcome.UNCHANGED))
    if summary.status is not RunStatus.INTERRUPTED:
        with suppress(DatabaseError):  # the next one tries again
            async with open_writer(settings.database) as writer:
                before = now - settings.outcomes_kept if is_right else None
                await prune_outcomes(writer, before=before, most=_MOST_PRUNED)


def _report(summary: Summary, settings: Settings, options: Options, *, as_json: bool, sandbox: bool) -> None:
    """Print how the run ended: with --quiet one line if it did not end well, which cron mails."""
    if not options.quiet:
        log_end(summary)
    elif summary.exit_code != ExitCode.DONE:
        options.error(shown(f"run {summary.run}, {summary.ending}"))
    if as_json:
        print_json(summary_json(summary))
    elif not options.quiet:
        if sandbox:
            options = replace(options, database=settings.database)
        _print(summary, settings, options)
        if sandbox:
            print_line(f"next: {options.command('status')}")


def summary_json(summary: Summary) -> dict[str, object]:
    """Return how a run ended, for JSON; `seconds` is elapsed time."""
    return {
        "run": summary.run,
        "trigger": summary.trigger,
        "status": summary.status,
        "symbols": summary.symbols,
        "due": len(summary.selection.due),
        **{outcome.value: summary.counts[outcome] for outcome in Outcome},
        "requests": summary.requests,
        "seconds": round(summary.seconds, 3),
        "uncovered": summary.uncovered,
    }


def _print(summary: Summary, settings: Settings, options: Options) -> None:
    if not summary.selection.due:
        _print_nothing_due(summary, settings, options)
        return
    print_table(["outcome", "symbols", ""], _rows(summary))
    print_line()
    why = f": {shown(summary.detail)}" if summary.detail else ""
    print_line(f"run {summary.run} {options.repeated_in(_ENDED[summary.status].format(run=summary.run))}{why}")
    for one in summary.possible_renames[:_MOST_RENAMES]:
        print_line(
            f"{one.old} was answered as {one.new}. If it was renamed, add under [symbols.renamed]: {config_line(one)}"
        )
    if summary.requests:
        print_line(time_taken(summary, settings.plans))
    print_line(f"database: {settings.database}")


def _rows(summary: Summary) -> Iterator[tuple[str, int, str]]:
    """Yield the outcomes that there were; unknown symbols that have snapshots in a row of their own."""
    counts = summary.counts - Counter({Outcome.UNKNOWN: summary.uncovered})
    for outcome in Outcome:
        if counts[outcome]:
            yield outcome.value, counts[outcome], MEANING[outcome]
        if outcome is Outcome.UNKNOWN and summary.uncovered:
            yield outcome.value, summary.uncovered, "has snapshots, but the API answered {}: due again"


def time_taken(summary: Summary, plans: Sequence[KeyPlan]) -> str:
    """Return how long the requests took and, as in the asyncio lesson, how long they would have taken one by one.

    Where a block or the plan's rate limits set the pace, that comparison would mean nothing: then these are named.
    """
    took = f"{count(summary.requests, 'request')} took {summary.seconds:.2f} s"
    if summary.requests == 1:
        return took
    if summary.blocks:
        return f"{took}, with a wait: {shown('; '.join(summary.blocks))}"
    if summary.seconds > summary.busy_seconds:
        whose = "the plan" if len(plans) == 1 else f"{len(plans)} keys"
        return f"{took}, at the pace of {whose} ({plans_text(plans)})"
    return f"{took}; one after another they would have taken {summary.busy_seconds:.2f} s"


def _print_nothing_due(summary: Summary, settings: Settings, options: Options) -> None:
    hours = settings.fresh_for.total_seconds() / 3600
    waiting = f", {summary.selection.waiting:,} not covered and retried later" if summary.selection.waiting else ""
    print_line(f"nothing is due: {count(summary.selection.fresh, 'symbol')} observed within {hours:g} h{waiting}")
    print_line(f"to request them anyway: {options.command('collect')} --force")


_MOST_PRUNED = 100_000
"""Outcomes, so that a run takes no long time for those of years."""
_MOST_RENAMES = 10
"""Lines about possible renames; the doctor prints all."""
_ENDED = {
    RunStatus.COMPLETE: "is complete",
    RunStatus.PARTIAL: "is partial: pipeline runs {run} shows what failed",
    RunStatus.QUOTA_EXHAUSTED: "ended before all symbols were requested",
    RunStatus.FAILED: "failed",
    RunStatus.INTERRUPTED: "was interrupted",
}

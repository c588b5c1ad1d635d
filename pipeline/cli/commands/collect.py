"""`pipeline collect`: one run, now."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings, parse_symbols, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Options, day_option, global_options, json_option
from pipeline.cli.output import print_json, print_table, shown
from pipeline.cli.params import symbols_argument
from pipeline.cli.progress import collection_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.source import EXAMPLE_SYMBOLS, LATENCY, SANDBOX_KEY, sandbox_database, serve_sandbox
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import Summary, collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings
from pipeline.settings.secrets import api_key
from pipeline.store import lock
from pipeline.store.database import refuse_foreign
from pipeline.store.migrate import migrate


@click.command(
    epilog="Examples: pipeline collect; pipeline collect AAPL BRK-B; pipeline collect --sandbox --day 2026-03-14"
)
@symbols_argument
@click.option("--force", is_flag=True, help="Ask for every symbol, however fresh it is.")
@click.option("--max-requests", type=click.IntRange(min=1), help="Send at most so many requests.")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=60, help="Seconds to wait for another collect to end [60]."
)
@click.option(
    "--sandbox", is_flag=True, help="Ask the stand-in API, into sandbox.db beside the database: no key needed."
)
@day_option("With --sandbox: collect as of that day, to make some history.")
@click.option("--latency", type=click.IntRange(0, 60_000), help="With --sandbox: ms to each answer [200].")
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
    wait: float,
    sandbox: bool,
    day: datetime | None,
    latency: int | None,
    as_json: bool,
) -> None:
    """Ask for the overview of every configured symbol that is due, stalest first, and keep every answer.

    SYMBOLs named here are asked whatever their age. Ctrl-C lets those in flight finish; a second one ends it at once.
    """
    if day is not None and not sandbox:
        raise click.UsageError("--day needs --sandbox: the real API knows only today", ctx)
    if latency is not None and not sandbox:
        raise click.UsageError("--latency needs --sandbox: it is how long the stand-in API takes", ctx)
    variables = read_environment()
    settings = load_settings(options, variables)
    if settings.config is None and not sandbox:
        options.say(f"no configuration file: defaults are used, and the database is {settings.database}")
    wanted = parse_symbols(symbols, options) or settings.all_symbols or (EXAMPLE_SYMBOLS if sandbox else ())
    if not wanted:
        raise SettingsError("no symbols: name some (pipeline collect AAPL), or list them in the file of pipeline init")
    key = SANDBOX_KEY if sandbox else api_key(variables)
    configure_logs(options, secrets=[] if sandbox else [key])
    if sandbox:
        settings = replace(settings, database=sandbox_database(settings.database))
    refuse_foreign(settings.database)
    now = _clock(day)
    observed_since = None if symbols or force else now() - settings.fresh_for
    order = Order(wanted, observed_since, max_requests=max_requests)
    source = Source(
        settings.base_url,
        key,
        settings.limits,
        settings.concurrency,
        settings.timeout,
        settings.wait,
        settings.attempts,
    )
    takes = LATENCY if latency is None else timedelta(milliseconds=latency)
    served = serve_sandbox(settings, now=now, latency=takes) if sandbox else nullcontext(settings.base_url)

    async def once() -> Summary:
        halt = Halt()
        async with collection_progress(options) as progress:
            with interruptible(halt, progress.cancel_requests, options):
                async with (
                    lock.hold_lock(
                        settings.database,
                        "collect",
                        max_wait=timedelta(seconds=wait),
                        now=instants.utc_now,
                        sleep=asyncio.sleep,
                        on_wait=options.say,
                    ),
                    served as base_url,
                ):
                    migrate(settings.database, now=instants.utc_now())
                    return await collect(
                        settings.database,
                        replace(source, base_url=base_url),
                        order,
                        halt=halt,
                        on_start=progress.started,
                        clock=Clock(now),
                    )

    try:
        summary = run_async(once())
    except asyncio.CancelledError:
        ctx.exit(ExitCode.INTERRUPTED)
    _tell(summary, settings, options, as_json=as_json, sandbox=sandbox)
    ctx.exit(summary.exit_code)


def _tell(summary: Summary, settings: Settings, options: Options, *, as_json: bool, sandbox: bool) -> None:
    """Print how the run ended. If nobody reads on, the exit code tells it all the same."""
    with suppress(BrokenPipeError, SystemExit):
        if as_json:
            print_json(summary_json(summary))
        elif not options.quiet:
            _print(summary, settings)
            if sandbox:
                click.echo(f"look at it: pipeline status --database {settings.database}")


def _clock(day: date | None) -> Callable[[], datetime]:
    """Return the wall clock; set to the given day, if any, at the hour it is now."""
    if day is None:
        return instants.utc_now
    shift = timedelta(days=(day.toordinal() - instants.utc_now().toordinal()))
    return lambda: instants.utc_now() + shift


def summary_json(summary: Summary) -> dict[str, object]:
    """Return a run's end for JSON; `seconds` is wall time."""
    return {
        "run": summary.run,
        "trigger": summary.trigger,
        "status": summary.status,
        "symbols": summary.symbols,
        "due": len(summary.selection.due),
        **{outcome.value: summary.counts[outcome] for outcome in Outcome},
        "requests": summary.requests,
        "seconds": round(summary.seconds, 3),
    }


def _print(summary: Summary, settings: Settings) -> None:
    """Print what happened, what it means, and, as in the lesson this began as, how long how many calls took."""
    if not summary.selection.due:
        _print_nothing_due(summary, settings)
        return
    rows = [
        (outcome.value, summary.counts[outcome], _MEANING[outcome]) for outcome in Outcome if summary.counts[outcome]
    ]
    print_table(["outcome", "symbols", ""], rows)
    click.echo()
    why = f": {shown(summary.detail)}" if summary.detail else ""
    click.echo(f"run {summary.run} {_ENDED[summary.status].format(run=summary.run)}{why}")
    if summary.requests:
        click.echo(_time_taken(summary, settings))
    click.echo(f"kept in {settings.database}")


def _time_taken(summary: Summary, settings: Settings) -> str:
    """Say how long the calls took: against one after another, or, where the plan set the pace, that it did."""
    calls = "1 call" if summary.requests == 1 else f"{summary.requests:,} calls"
    took = f"{calls} took {summary.seconds:.2f} s"
    if summary.requests == 1:
        return took
    if summary.seconds > summary.busy_seconds:
        return f"{took}, at the pace of the plan ({', '.join(map(str, settings.limits)) or 'no limits'})"
    return f"{took}; one after another they would have taken {summary.busy_seconds:.2f} s"


def _print_nothing_due(summary: Summary, settings: Settings) -> None:
    hours = settings.fresh_for.total_seconds() / 3600
    waiting = f", {summary.selection.waiting:,} not covered and asked again later" if summary.selection.waiting else ""
    click.echo(
        f"nothing is due: {summary.selection.fresh:,} symbols looked at within {hours:g} h{waiting}."
        " --force asks all the same"
    )


_MEANING = {
    Outcome.STORED: "new or changed: a snapshot more",
    Outcome.UNCHANGED: "as last seen: the snapshot is confirmed",
    Outcome.UNKNOWN: "the API does not cover them",
    Outcome.FAILED: "no answer after all attempts",
    Outcome.REJECTED: "the answer was no overview of the symbol",
    Outcome.DEFERRED: "not asked: the next run begins with them",
}
_ENDED = {
    RunStatus.COMPLETE: "is complete",
    RunStatus.PARTIAL: "is partial: pipeline runs {run} says what failed",
    RunStatus.QUOTA_EXHAUSTED: "ended before all were asked",
    RunStatus.FAILED: "failed",
    RunStatus.INTERRUPTED: "was interrupted",
}

"""`pipeline runs [RUN]`: list past runs, or the outcome of each symbol in one."""

from dataclasses import asdict

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Form, Options, Whole, examples, format_option, json_option, reading_options
from pipeline.cli.output import print_json, print_line, print_rows, shown, to_second
from pipeline.cli.readable import readable
from pipeline.cli.run_outcomes import run_outcomes
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import followed
from pipeline.store.reader import Reader, Run, SymbolOutcome


@click.command(epilog=examples("pipeline runs --limit 5", "pipeline runs 12 --format csv"))
@click.argument("run", type=Whole(1), required=False)
@click.option(
    "--limit",
    metavar="N",
    type=Whole(1),
    default=20,
    help="List the last N runs [20].",
)
@format_option
@json_option
@reading_options
def command(options: Options, *, run: int | None, limit: int, form: Form, as_json: bool) -> None:
    """List past runs, newest first; or, for the number of a RUN, the outcome of each symbol in it."""
    with readable(load_silently(options).database, options) as database, Reader.open(database) as reader:
        if form.is_table and not as_json and (place := followed(database)) is not None:
            options.say(f"runs of the fleet {place.fleet}, as of entry {place.seq:,} of its log")
        found = None if run is None else _found(reader, run)
        runs = reader.runs(limit) if found is None else []
        outcomes = [] if found is None else reader.outcomes(found.id)
    # Printed when the file is closed: a pager may take the rows slowly.
    if found is None:
        _print_runs(runs, form=form, as_json=as_json)
        return
    if form.is_table and not as_json:
        print_line(f"run {found.id} {_summary(found)}")
        if not outcomes:
            return
    _print_outcomes(outcomes, form=form, as_json=as_json)


def _found(reader: Reader, run: int) -> Run:
    """Return the run with a number. Raise DatabaseError if there is none."""
    found = reader.run(run)
    if found is None:
        raise DatabaseError(f"there is no run {run}", remedy="pipeline runs lists them")
    return found


def _summary(run: Run) -> str:
    """Return a run's status, the time and schedule it ran for (if any), and why it ended so."""
    fire_time = f" for {to_second(run.scheduled_for)} UTC" if run.scheduled_for else ""
    schedule = f" ({run.schedule})" if run.schedule else ""
    because = f": {shown(run.detail)}" if run.detail else ""
    return f"{run.status}{fire_time}{schedule}{because}"


def _print_runs(runs: list[Run], *, form: Form, as_json: bool) -> None:
    if as_json:
        print_json([asdict(run) for run in runs])
    elif not form.is_table:
        print_rows(list(Run.__slots__), [tuple(asdict(run).values()) for run in runs], form)
    else:
        names = ["id", "trigger", "scheduled_for", "started", "status", "due", "outcomes", "requests", "seconds"]
        rows = [
            [run.id, run.trigger, to_second(run.scheduled_for), to_second(run.started_at), run.status, run.due,
             run_outcomes(run), run.requests, run.seconds]
            for run in runs
        ]  # fmt: skip
        if not any(run.scheduled_for for run in runs):
            del names[_SCHEDULED]
            rows = [[*row[:_SCHEDULED], *row[_SCHEDULED + 1 :]] for row in rows]
        print_rows(names, rows, form, spare=("trigger", "requests", "seconds"))


_SCHEDULED = 2


def _print_outcomes(outcomes: list[SymbolOutcome], *, form: Form, as_json: bool) -> None:
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
        return
    at = to_second if form.is_table else str
    rows = [(o.symbol, o.outcome, o.attempts, at(o.at), o.detail) for o in outcomes]
    print_rows(["symbol", "outcome", "attempts", "at", "detail"], rows, form)

"""`pipeline runs [RUN]`: past runs, or how each symbol ended in one."""

from dataclasses import asdict

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, format_option, global_options, json_option
from pipeline.cli.output import moment, print_json, print_rows, shown
from pipeline.model.outcomes import Outcome
from pipeline.store.database import DatabaseError
from pipeline.store.reader import Reader, Run, SymbolOutcome

_MOST = 2**63 - 1
"""What an INTEGER of SQLite holds."""


@click.command(epilog="Examples: pipeline runs --limit 5; pipeline runs 12 --format csv")
@click.argument("run", type=click.IntRange(1, _MOST), required=False)
@click.option("--limit", type=click.IntRange(1, _MOST), default=20, help="The last so many runs [20].")
@format_option
@json_option
@global_options
def command(options: Options, *, run: int | None, limit: int, form: str, as_json: bool) -> None:
    """List the last runs, the newest first; or, given a RUN's number, how each symbol ended in it."""
    with Reader.open(load_settings(options).database) as record:
        if run is None:
            _print_runs(record.runs(limit), form=form, as_json=as_json)
            return
        found = record.run(run)
        if found is None:
            raise DatabaseError(f"there is no run {run}; pipeline runs lists those there are")
        outcomes = record.outcomes(run)
        if form == "table" and not as_json:
            click.echo(f"run {run} {_in_words(found)}")
            if not outcomes:
                return
        _print_outcomes(outcomes, form=form, as_json=as_json)


def _in_words(run: Run) -> str:
    """Return how a run ended, for which fire time of which schedule if any, and why."""
    fire_time = f" for {moment(run.scheduled_for)} UTC" if run.scheduled_for else ""
    schedule = f" ({run.schedule})" if run.schedule else ""
    because = f": {shown(run.detail)}" if run.detail else ""
    return f"{run.status}{fire_time}{schedule}{because}"


def _print_runs(runs: list[Run], *, form: str, as_json: bool) -> None:
    if as_json:
        print_json([asdict(run) for run in runs])
    elif form != "table":
        print_rows(list(Run.__slots__), [tuple(asdict(run).values()) for run in runs], form)
    else:
        names = ["id", "trigger", "scheduled_for", "started", "status", "due", "outcomes", "requests", "seconds"]
        rows = [
            [run.id, run.trigger, moment(run.scheduled_for), moment(run.started_at), run.status, run.due,
             _counts(run), run.requests, run.seconds]
            for run in runs
        ]  # fmt: skip
        if not any(run.scheduled_for for run in runs):
            del names[_SCHEDULED]
            rows = [[*row[:_SCHEDULED], *row[_SCHEDULED + 1 :]] for row in rows]
        print_rows(names, rows, form)


_SCHEDULED = 2


def _counts(run: Run) -> str:
    """Return how the run's symbols ended: in a column for each, most would be nothing but zeros."""
    counts = {outcome.value: getattr(run, outcome.value) for outcome in Outcome}
    return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items() if count)


def _print_outcomes(outcomes: list[SymbolOutcome], *, form: str, as_json: bool) -> None:
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
        return
    at = moment if form == "table" else str
    rows = [(o.symbol, o.outcome, o.attempts, at(o.at), o.detail) for o in outcomes]
    print_rows(["symbol", "outcome", "attempts", "at", "detail"], rows, form)

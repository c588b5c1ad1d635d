"""`pipeline correct`: move or remove what a wrong clock dated."""

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pipeline import instants
from pipeline.audit.corrections import Corrected, Correction, correct, preview, refuse_damaged
from pipeline.audit.observed_rows import damaged_text
from pipeline.audit.selection import refuse_unknown
from pipeline.cli.configuration import load_silently
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_record
from pipeline.cli.fleet_conflicts import MixedRecords
from pipeline.cli.options import (
    Instant,
    Options,
    Whole,
    check_interval,
    examples,
    global_options,
    json_option,
    wide_option,
)
from pipeline.cli.output import print_json, print_line, print_table, to_second
from pipeline.cli.params import symbol_option
from pipeline.cli.set_clock import set_now
from pipeline.model.symbols import parse_symbol
from pipeline.store.backup import backup_beside
from pipeline.store.database import connect
from pipeline.store.log_place import followed
from pipeline.store.reader import open_for_reading
from pipeline.store.writer import open_writer
from pipeline.text import count


class _Shift(click.ParamType[timedelta]):
    """A step in time, as `instants.parse_shift` reads it."""

    name = "shift"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return instants.parse_shift(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog=examples(
        "pipeline correct --since 2027-03-14 --until 2027-03-14T23:00Z --shift -365d",
        "pipeline correct --since 1970-01-01 --until 1970-01-02 --remove --yes",
    )
)
@click.option(
    "--since", type=Instant(day_ends=False), required=True, help="From then on; a date means its start (UTC)."
)
@click.option("--until", type=Instant(day_ends=True), required=True, help="Up to then; a date means its end (UTC).")
@click.option("--shift", type=_Shift(), metavar="STEP", help="Move it by this much: -25h, +3d, -1d2h30m15s.")
@click.option("--remove", is_flag=True, help="Remove it: when it was observed cannot be known.")
@symbol_option
@click.option(
    "--run", "runs", multiple=True, type=Whole(1), metavar="N", help="Only what this run observed. Repeatable."
)
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would be done.")
@click.option("--no-backup", is_flag=True, help="Do not copy the database to a file beside it first.")
@json_option
@wide_option
@global_options
def command(
    options: Options,
    *,
    since: datetime,
    until: datetime,
    shift: timedelta | None,
    remove: bool,
    symbols: tuple[str, ...],
    runs: tuple[int, ...],
    yes: bool,
    no_backup: bool,
    as_json: bool,
    wide: bool,
) -> None:
    """Move or remove the observations that a wrong clock dated from --since to --until, as seen in the record.

    Without --yes it only shows what it would do. Afterwards the record is as if they had been made at the right
    instants, or never; runs of that time, their outcomes, and when symbols were listed follow, unless --symbol is
    given. The ledger stays: no slot is freed. Nothing else may run on the database, which is copied first.
    """
    check_interval(since, until)
    if (shift is None) is not remove:
        raise click.UsageError("use either --shift or --remove", click.get_current_context())
    database = load_silently(options).database
    _refuse_follower(database)
    correction = Correction(since, until, shift, set_now(), _parsed(symbols), runs)
    made = None
    if yes:
        done, made = run_async(_correct(database, correction, options, keeps_backup=not no_backup))
    else:
        done = _previewed(database, correction)
    if as_json:
        print_json(_json(correction, done, is_done=yes, backup=made))
        return
    _print(correction, done, wide=wide)
    if made is not None:
        print_line(f"backup: {made}; remove it when all is well")
    if yes and not done.is_empty:
        print_line(f"{database}: {'removed' if remove else 'moved'}")
        print_line(f"next: {options.command('doctor')}")
    elif not done.is_empty:
        options.say("nothing is changed yet: --yes does it")


def _parsed(symbols: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(parse_symbol(symbol) for symbol in symbols)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


def _refuse_follower(database: Path) -> None:
    """Raise MixedRecords if a database follows a fleet: the fleet's log would not agree with it any more."""
    if followed(database) is not None:
        raise MixedRecords(
            f"{database} follows a fleet, whose log has the same observations",
            remedy="pipeline fleet detach lets this file leave the fleet; then it can be corrected",
        )


def _previewed(database: Path, correction: Correction) -> Corrected:
    with open_for_reading(database) as db:
        refuse_unknown(db, correction.symbols, correction.runs)
        done = preview(db, correction)
    with connect(database, "ro") as db:
        db.text_factory = damaged_text
        refuse_damaged(db, (one.symbol for one in done.symbols))
    return done


async def _correct(
    database: Path, correction: Correction, options: Options, *, keeps_backup: bool
) -> tuple[Corrected, Path | None]:
    """Do it, if there is something to do; return what was done, and where the copy from before is."""
    async with exclusive_record(database, "correct", options):
        done = _previewed(database, correction)
        if done.is_empty:
            return done, None
        made = None
        if keeps_backup:
            made = backup_beside(database, "before-correct", now=correction.now)
        async with open_writer(database, on_retry=options.say) as writer:
            await writer.write(correct, correction)
    return done, None if made is None else made.file


def _json(correction: Correction, done: Corrected, *, is_done: bool, backup: Path | None) -> dict[str, Any]:
    return {
        "since": instants.to_text(correction.since),
        "until": instants.to_text(correction.until),
        "shift_seconds": None if correction.shift is None else correction.shift.total_seconds(),
        "done": is_done,
        "symbols": [asdict(one) for one in done.symbols],
        "runs": done.runs,
        "outcomes": done.outcomes,
        "backup": None if backup is None else str(backup),
    }


def _print(correction: Correction, done: Corrected, *, wide: bool) -> None:
    if done.is_empty:
        print_line("nothing to correct: no observation or run is dated so")
        return
    if done.symbols:
        _print_symbols(done, is_moved=correction.shift is not None, wide=wide)
    observed = sum(one.observations for one in done.symbols)
    of = f"{count(observed, 'observation')} of {count(len(done.symbols), 'symbol')}"
    print_line(f"{of}, {count(done.runs, 'run')}, {count(done.outcomes, 'outcome')}")
    if done.is_all:
        print_line("this is every observation of the record")


def _print_symbols(done: Corrected, *, is_moved: bool, wide: bool) -> None:
    """Print what is done to each symbol; where its first observation goes is what fits a narrow terminal, too."""
    names = ["symbol", "new", "confirmed", "uncovered", "first"]
    names += ["moved to", "last", "moved to"] if is_moved else ["last"]
    rows = []
    for one in done.symbols:
        counts = (one.symbol, one.snapshots, one.confirmations, one.uncovered)
        ends = (one.first, one.first_moved, one.last, one.last_moved) if is_moved else (one.first, one.last)
        rows.append([*counts, *map(to_second, ends)])
    print_table(names, rows, wide=wide)

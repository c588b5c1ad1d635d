"""`pipeline restore FILE`: put a backup in the database's place."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.event_loop import run_async
from pipeline.cli.fleet_conflicts import refuse_other_record
from pipeline.cli.migration_progress import migration_progress
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.set_clock import set_now
from pipeline.instants import utc_now
from pipeline.quota.limits import longest_window
from pipeline.settings.load import Settings
from pipeline.store import lock
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import followed
from pipeline.store.move_aside import SUFFIXES
from pipeline.store.restore import Restored, restore
from pipeline.text import count


@click.command(epilog=examples("pipeline restore /mnt/backups/overviews-2026-03-14.db"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--idle-since-backup",
    is_flag=True,
    help="Nothing was requested since the backup was made: collect again at once.",
)
@json_option
@global_options
def command(options: Options, *, file: Path, idle_since_backup: bool, as_json: bool) -> None:
    """Check FILE, made by pipeline backup, and put a copy of it in the database's place.

    The database that was there is moved aside, under a dated name in the same folder, with its -wal and -shm. The
    requests that its ledger has since the backup are carried over, so that the plan is not exceeded; if they are not
    known, nothing is requested until the plan's longest window has passed. Nothing else may run on the database.
    """
    settings = load_settings(options)
    _refuse_other_records(settings, file)
    # A member's requests are counted in PostgreSQL, whatever is restored here.
    is_idle = idle_since_backup or followed(file) is not None
    done = run_async(_restore(settings, file, options, is_idle=is_idle))
    if as_json:
        print_json(_json(done, file, settings.database))
    elif not options.quiet:
        _print(done, file, settings.database, options)


def _refuse_other_records(settings: Settings, file: Path) -> None:
    """Raise MixedRecords for a backup that is no follower's in a fleet, and without one, in a follower's place."""
    if settings.fleet is not None:
        refuse_other_record(file, settings.fleet)
        return
    with suppress(DatabaseError):  # what is damaged may be replaced
        refuse_other_record(settings.database, None)


async def _restore(settings: Settings, file: Path, options: Options, *, is_idle: bool) -> Restored:
    database, now = settings.database, set_now()
    with lock.hold_daemon_lock(database, now=now):
        async with lock.hold_lock(
            database, "restore", max_wait=timedelta(), now=utc_now, sleep=asyncio.sleep, on_wait=options.say
        ):
            with migration_progress(options) as show:
                return restore(
                    file,
                    database,
                    longest_window=longest_window(settings.limits),
                    is_idle=is_idle,
                    now=now,
                    on_progress=show,
                )


def _json(done: Restored, file: Path, database: Path) -> dict[str, object]:
    return {
        "database": str(database),
        "file": str(file),
        "replaced": done.replaced and str(done.replaced),
        "newest_snapshot": done.newest_snapshot,
        "snapshots": done.snapshots,
        "symbols": done.symbols,
        "runs": done.runs,
        "requests_carried": done.carried,
        "blocked_until": done.blocked_until,
        "blocked_reason": done.blocked_reason,
    }


def _print(done: Restored, file: Path, database: Path, options: Options) -> None:
    newest = "none" if done.newest_snapshot is None else _for_people(done.newest_snapshot)
    print_line(f"{database} is restored from {file}")
    print_line(f"newest snapshot: {newest}")
    print_line(f"{count(done.snapshots, 'snapshot')} of {count(done.symbols, 'symbol')}, {count(done.runs, 'run')}")
    if done.replaced is not None:
        is_log = done.replaced.name.endswith(SUFFIXES[1:])
        print_line(f"{'log of the missing' if is_log else 'replaced'} database: {done.replaced}")
    if done.carried:
        print_line(
            f"the ledger also has {count(done.carried, 'request')} that the replaced database sent since the backup"
        )
    if done.blocked_until is not None:
        why = done.blocked_reason or "the API said that the quota has ended"
        print_line(f"no requests before {_for_people(done.blocked_until)}: {why}")
        if done.blocked_reason is not None:
            print_line("if nothing was requested since: restore again, with --idle-since-backup")
    print_line(f"next: {options.command('doctor')}")


def _for_people(instant: str) -> str:
    return f"{instants.for_people(instants.from_text(instant))} UTC"

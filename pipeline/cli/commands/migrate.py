"""`pipeline migrate`: bring a database of an older version up to date."""

import asyncio
from datetime import timedelta
from pathlib import Path

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.event_loop import run_async
from pipeline.cli.migrating import migrate_in_thread
from pipeline.cli.options import Options, examples, global_options, json_option, wait_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.set_clock import set_now
from pipeline.instants import utc_now
from pipeline.store import lock
from pipeline.store.older_schema import Migrated, bring_up_to_date
from pipeline.text import count


@click.command(epilog=examples("pipeline migrate", "pipeline migrate --no-backup --database large.db"))
@click.option("--no-backup", is_flag=True, help="Do not copy the database to a file beside it first.")
@wait_option("another process")
@json_option
@global_options
def command(options: Options, *, no_backup: bool, max_wait: timedelta, as_json: bool) -> None:
    """Bring a database of an older version up to date, after a backup beside it.

    `collect` and `run` do it too, without the backup. If it is killed, run it again: it continues where it stopped.
    """
    database = load_silently(options).database
    done = run_async(_migrate(database, options, keeps_backup=not no_backup, max_wait=max_wait))
    if as_json:
        made = None if done.backup is None else {"file": str(done.backup.file), "bytes": done.backup.size}
        applied = [migration.name for migration in done.applied]
        print_json({"before": done.before, "after": done.after, "applied": applied, "backup": made})
    elif not done.applied:
        print_line(f"{database}: up to date (schema {done.after})")
    else:
        print_line(f"{database}: schema {done.before} is now {done.after}, {count(len(done.applied), 'migration')}")
        if done.backup is not None:
            print_line(f"backup: {done.backup.file}; remove it when all is well")


async def _migrate(database: Path, options: Options, *, keeps_backup: bool, max_wait: timedelta) -> Migrated:
    async with lock.hold_lock(
        database, "migrate", max_wait=max_wait, now=utc_now, sleep=asyncio.sleep, on_wait=options.say
    ):
        now = set_now()
        return await migrate_in_thread(
            lambda show: bring_up_to_date(database, now=now, keeps_backup=keeps_backup, on_progress=show), options
        )

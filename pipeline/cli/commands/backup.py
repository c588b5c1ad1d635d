"""`pipeline backup FILE`, `pipeline backup --keep N FOLDER`: copy the database while it is in use."""

from pathlib import Path

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Options, Whole, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.set_clock import set_now
from pipeline.store.backup import Backup, backup, backup_into, note_backup
from pipeline.store.database import DatabaseError
from pipeline.text import count


@click.command(epilog=examples("pipeline backup /mnt/backups/overviews.db", "pipeline backup --keep 14 /mnt/backups"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    metavar="N",
    type=Whole(1),
    help="FILE is a folder: add a dated copy, and remove all but the newest N of them.",
)
@json_option
@global_options
def command(options: Options, *, file: Path, keep: int | None, as_json: bool) -> None:
    """Copy the database to FILE, which must not exist, in a folder that does, and check the copy.

    It uses SQLite's own backup, so a run may continue meanwhile. (A plain cp would miss the write-ahead log.) The
    database notes when it was last backed up, for `status`, `doctor` and the alerts.
    """
    database, now = load_silently(options).database, set_now()
    removed: list[Path] = []
    if keep is None:
        made = backup(database, file, now=now)
    else:
        made, removed = backup_into(database, file, keep=keep, now=now)
    is_noted = _note(database, made, options)
    if as_json:
        facts = {"file": str(made.file), "bytes": made.size, "removed": [str(path) for path in removed]}
        print_json({**facts, "noted": is_noted})
        return
    print_line(f"{made.file}: {made.size:,} bytes, checked")
    if removed:
        print_line(f"removed {count(len(removed), 'older copy', 'older copies')}")


def _note(database: Path, made: Backup, options: Options) -> bool:
    """Note the backup in the database, if it can be written to. Return whether it could."""
    try:
        note_backup(database, made)
    except DatabaseError as error:
        options.say(f"the backup is complete, but could not be noted: {error}")
        return False
    return True

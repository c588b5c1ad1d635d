"""`pipeline backup FILE`: copy the database while it is in use."""

from pathlib import Path

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.store.backup import backup


@click.command(epilog=examples("pipeline backup /mnt/backups/overviews-$(date +%F).db"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@global_options
def command(options: Options, *, file: Path, as_json: bool) -> None:
    """Copy the database to FILE, which must not exist, and check the copy.

    It uses SQLite's own backup, so a run may continue meanwhile. (A plain cp would miss the write-ahead log.)
    """
    size = backup(load_silently(options).database, file)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {size:,} bytes, checked")

"""`pipeline backup FILE`: a copy of the database, while it is in use."""

from pathlib import Path

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.store.backup import backup


@click.command(epilog="Example: pipeline backup /mnt/backups/overviews-$(date +%F).db")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@global_options
def command(options: Options, *, file: Path, as_json: bool) -> None:
    """Copy the database to FILE with SQLite's own backup: a run may go on meanwhile. A plain cp would miss the WAL."""
    size = backup(load_settings(options).database, file)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {size:,} bytes, checked")

"""`pipeline datasette-metadata`: write the file with which Datasette shows the database."""

from pathlib import Path

import click
import msgspec

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.overwriting import overwriting_check
from pipeline.cli.table_files import STANDARD
from pipeline.files import replacing
from pipeline.text import count
from pipeline.transfer.datasette import metadata

_READABLE = 0o644
"""It holds no secret, and Datasette may run as another user."""


@click.command(
    epilog=examples(
        "pipeline datasette-metadata --output metadata.json",
        "datasette data/overviews.db --metadata metadata.json",
        "pipeline datasette-metadata --database backups/2026-03-14.db > metadata.json",
    )
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="File to write; - is stdout [stdout].")
@json_option
@global_options
def command(options: Options, *, output: Path | None, as_json: bool) -> None:
    """Write a metadata file for Datasette: views described, internal tables hidden, ten questions as queries.

    Datasette finds it by the database's name, which is that of its file without the ending: for a copy name the copy
    with --database. Reads no database.
    """
    database = load_settings(options).database
    shown = metadata(database.stem)
    if output in (None, STANDARD):
        print_json(shown)
        return
    content = msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n"
    with replacing(output, check=overwriting_check(options), mode=_READABLE) as file:
        file.write(content)
    if as_json:
        print_json({"file": str(output), "bytes": len(content)})
    elif not options.quiet:
        print_line(f"{output}: {count(len(content), 'byte')}")

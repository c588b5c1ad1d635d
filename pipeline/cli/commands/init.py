"""`pipeline init`: a configuration and a .env to fill in."""

import os
from pathlib import Path

import click

from pipeline.cli.configuration import read_environment
from pipeline.cli.options import Options, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.errors import Trouble, file_reason
from pipeline.files import PRIVATE_FILE, shipped
from pipeline.settings.load import DEFAULT_CONFIG, named_config


def _template(in_wheel: str, in_checkout: str) -> str:
    return shipped(f"config/{in_wheel}", in_checkout).read_text(encoding="utf-8")


@click.command(epilog="Example: mkdir overviews && cd overviews && pipeline init")
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Write the configuration (config/pipeline.toml) and .env. What is there stays as it is."""
    config = named_config(options.config, read_environment()) or DEFAULT_CONFIG
    written = {
        str(config): _write(config, _template("pipeline.toml", "config/pipeline.toml"), 0o644),
        ".env": _write(Path(".env"), _template("env.example", ".env.example"), PRIVATE_FILE),
    }
    if as_json:
        print_json({"written": [path for path, new in written.items() if new]})
        return
    for path, new in written.items():
        click.echo(f"{path}: {'written' if new else 'is there already, and stays as it is'}")
    click.echo("Next: put your key into .env and your symbols into the configuration; then: pipeline doctor")


def _write(path: Path, text: str, mode: int) -> bool:
    """Write a new file, and return whether it was new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.is_file():
            return False
        raise Trouble(f"{path} cannot be written: {file_reason(error)}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True

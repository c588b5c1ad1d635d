"""Show a plot: on the terminal, as wide as that is, or in a file."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.cli.options import Options
from pipeline.plot.save import Picture, save


def show(
    on_terminal: Callable[[int, int, bool], str],
    in_file: Callable[[], Picture],
    target: Path | None,
    options: Options,
) -> None:
    """Save the picture to the target, or print what `on_terminal` makes of columns, rows and whether colours show."""
    if target is None:
        width, height = shutil.get_terminal_size()
        click.echo(on_terminal(width, height - 2, sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    else:
        save(target, in_file())
        options.say(f"plot saved to {target}")

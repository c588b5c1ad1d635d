"""Show a plot: on the terminal, as wide as that is, or in a file."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.cli.options import Options
from pipeline.cli.output import shows_colors
from pipeline.cli.overwriting import overwriting_check
from pipeline.errors import Trouble
from pipeline.plot.save import Picture, save


def show(
    on_terminal: Callable[[int, int, bool], str],
    in_file: Callable[[], Picture],
    target: Path | None,
    options: Options,
) -> None:
    """Save the picture to the target, or print what `on_terminal` makes of columns, rows and whether colours show.

    Raise Trouble if stdout takes no such characters, or the file cannot be written.
    """
    if target is not None:
        save(target, in_file(), check=overwriting_check(options))
        options.say(f"plot saved to {target}")
        return
    _check_encoding(sys.stdout.encoding)
    width, height = shutil.get_terminal_size()
    click.echo(on_terminal(width, height - 2, shows_colors()))


def _check_encoding(encoding: str) -> None:
    try:
        "⣿•│".encode(encoding)
    except UnicodeEncodeError:
        problem = f"a plot cannot be shown here: the output's encoding is {encoding}"
        raise Trouble(problem, remedy="set LANG=C.UTF-8, or draw into a file") from None

"""Error output: the line or the traceback that a command ends with, without the secrets that are configured."""

import sys
import traceback
from types import TracebackType

import click

from pipeline.cli.configuration import read_environment
from pipeline.errors import LONGEST_LINE
from pipeline.resources import exhausted
from pipeline.settings.secrets import redaction
from pipeline.store.database import damaged
from pipeline.store.diagnosis import LARGEST, damaged_one, unchecked_one
from pipeline.text import printable, without_middle


def print_line(text: str) -> None:
    """Print the one line that says why the command failed: it can repeat an argument, or the name of a file."""
    click.echo(f"pipeline: {printable(without_middle(_redacted(text), LONGEST_LINE))}", err=True)


def print_traceback(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    """Print the traceback of a bug of this program, whose last line can hold anything that the program knows.

    Print one line instead where threads, files or memory ran out, or a database that it has opened is damaged; and one
    more where that is too large to be checked for damage.
    """
    if (problem := exhausted(error)) is not None:
        print_line(str(problem))
        return
    if (found := damaged_one()) is not None:
        path, what = found
        print_line(str(damaged(path, what)))
        return
    text = _redacted("".join(traceback.format_exception(kind, error, place)))
    print(printable(text, kept="\n"), end="", file=sys.stderr)
    if (unchecked := unchecked_one()) is not None:
        most = LARGEST >> 30
        print_line(
            f"{unchecked} was not checked for damage, as it is larger than {most} GB: pipeline doctor examines it"
        )


def _redacted(text: str) -> str:
    return redaction(read_environment())(text)

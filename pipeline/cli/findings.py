"""Findings: what was found wrong, or well, with its remedy on the next line, as `doctor` and `fleet` print them."""

import shutil
import sys
import textwrap

import click

from pipeline.cli.output import shown, shows_colors

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}
_INDENT = 24


def print_finding(level: str, label: str, found: str, remedy: str | None) -> None:
    """Print a finding of a level: ok, note or problem. `label`: what was checked, in a word."""
    painted = click.style(f"{level:8}", fg=_COLOURS[level]) if shows_colors() else f"{level:8}"
    click.echo(f"{painted} {shown(label):14} {_indented(shown(found))}")
    if remedy:
        click.echo(f"{'':{_INDENT}}-> {_indented(shown(remedy))}")


def _indented(text: str) -> str:
    """Return the text, wrapped on a terminal as far from the left as all findings are."""
    if not sys.stdout.isatty():
        return text
    width = max(shutil.get_terminal_size().columns - _INDENT - len("-> "), 20)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':{_INDENT}}".join(lines)

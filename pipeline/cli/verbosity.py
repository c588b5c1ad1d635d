"""Set up logging for a command: -v and -q choose the level, a terminal or a file the format."""

import logging
import sys
from collections.abc import Iterable

from pipeline import logs
from pipeline.cli.options import Options


def configure_logs(
    options: Options, *, secrets: Iterable[str], unattended: bool = False, for_programs: bool = False
) -> None:
    """Log readable lines to a terminal, else (or `for_programs`) JSON lines; `secrets` never appear in them.

    Levels: warnings; each run with -v; everything with -vv; errors only with -q. An `unattended` command logs one
    level more: each run, and with -q still warnings.
    """
    readable = sys.stderr.isatty() and not for_programs
    level = _level(options, options.verbose + unattended, quiet=logging.WARNING if unattended else logging.ERROR)
    logs.configure(level, readable=readable, secrets=secrets)


def _level(options: Options, verbose: int, *, quiet: int) -> int:
    if options.quiet:
        return quiet
    if verbose > 1:
        return logging.DEBUG
    return logging.INFO if verbose else logging.WARNING

"""Set up logging for a command: -v and -q choose the level, a terminal or a file the format."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import structlog

from pipeline import logs
from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.redaction import Redact


def configure_logs(options: Options, *, redact: Redact, unattended: bool = False, for_programs: bool = False) -> None:
    """Log readable lines to a terminal, else (or `for_programs`) JSON lines, each through `redact`.

    Levels: warnings; each run with -v; everything with -vv; errors only with -q. An `unattended` command logs one
    level more: each run, and with -q still warnings.
    """
    readable = _is_readable(for_programs=for_programs)
    level = _level(options, options.verbose + unattended, quiet=logging.WARNING if unattended else logging.ERROR)
    logs.configure(level, readable=readable, redact=redact)


@contextmanager
def fatal_errors_logged(*, for_programs: bool) -> Iterator[None]:
    """Where logs are JSON lines, log what ends the process as one of them: an error that a person can fix, or a bug."""
    if _is_readable(for_programs=for_programs):
        yield
        return
    sys.excepthook = logs.log_uncaught
    try:
        yield
    except Trouble as trouble:
        structlog.get_logger().critical(str(trouble))
        raise click.exceptions.Exit(trouble.exit_code) from None


def _is_readable(*, for_programs: bool) -> bool:
    return sys.stderr.isatty() and not for_programs


def _level(options: Options, verbose: int, *, quiet: int) -> int:
    if options.quiet:
        return quiet
    if verbose > 1:
        return logging.DEBUG
    return logging.INFO if verbose else logging.WARNING

"""How loud a verb logs."""

import logging
import sys
from collections.abc import Iterable

from pipeline import logs
from pipeline.cli.options import Options


def configure_logs(
    options: Options, *, secrets: Iterable[str], unattended: bool = False, for_programs: bool = False
) -> None:
    """Log for a person on a terminal, who sees the progress bar too, or as JSON lines for whoever gathers them.

    A verb that nobody looks at logs each run, as with -v.
    """
    readable = sys.stderr.isatty() and not for_programs
    logs.configure(_level(options, options.verbose + unattended), readable=readable, secrets=secrets)


def _level(options: Options, verbose: int) -> int:
    if options.quiet:
        return logging.ERROR
    if verbose > 1:
        return logging.DEBUG
    return logging.INFO if verbose else logging.WARNING

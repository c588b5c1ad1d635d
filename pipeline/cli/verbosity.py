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

    A verb that nobody looks at logs each run, as with -v; and with -q what is not as it should be.
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

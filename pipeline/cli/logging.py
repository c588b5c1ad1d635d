"""How loud a verb logs."""

import logging
import sys
from collections.abc import Iterable

from pipeline import logs
from pipeline.cli.options import Options


def configure_logs(options: Options, *, secrets: Iterable[str]) -> None:
    """Log for a person on a terminal, who sees the progress bar too, or as JSON lines for whoever gathers them."""
    readable = sys.stderr.isatty()
    logs.configure(_level(options), readable=readable, secrets=secrets)


def _level(options: Options) -> int:
    if options.quiet:
        return logging.ERROR
    if options.verbose > 1:
        return logging.DEBUG
    return logging.INFO if options.verbose else logging.WARNING

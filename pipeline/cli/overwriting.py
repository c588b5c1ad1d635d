"""Overwriting: which files a command's output must not replace, as the configuration has them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.cli.configuration import DOTENV, load_silently, read_environment
from pipeline.cli.options import Options
from pipeline.settings.secrets import secret_files
from pipeline.store.overwriting import check_overwriting


def overwriting_check(options: Options) -> Callable[[Path], None]:
    """Return what raises Trouble for a target that is a database, belongs to one, or belongs to the configuration.

    The configuration is its file, `.env`, and the files that either names: of keys and of symbols.
    """
    variables = read_environment()
    settings = load_silently(options, variables)
    named = (settings.config_or_default, DOTENV, *settings.symbol_files, *secret_files(variables))
    in_use = frozenset(Path(os.path.realpath(file)) for file in named)
    return partial(check_overwriting, database=settings.database, in_use=in_use)

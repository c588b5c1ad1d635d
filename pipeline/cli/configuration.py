"""Load a command's settings from the configuration file and the environment, and print notices about them."""

import os
from pathlib import Path

import click

from pipeline.cli.options import Options
from pipeline.model.renames import QUALIFIED
from pipeline.model.symbol_spellings import notes_on, read_symbol
from pipeline.model.symbols import Symbol
from pipeline.settings.environment import Environment, with_dotenv
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings, load
from pipeline.settings.near_misses import misspelt_variables
from pipeline.settings.symbol_files import without_duplicates

DOTENV = Path(".env")
"""In the working directory."""


def read_environment() -> Environment:
    """Return the process's variables, together with those of `.env` in the working directory."""
    return with_dotenv(os.environ, DOTENV)


def load_silently(options: Options, variables: Environment | None = None) -> Settings:
    """Return the settings for a command that is not about them. Raise SettingsError for invalid ones."""
    variables = variables or read_environment()
    for problem in variables.problems:
        if isinstance(problem, SettingsError):
            raise problem
    return load(options.config, variables, database=options.database)


def load_settings(options: Options, variables: Environment | None = None) -> Settings:
    """Return the settings, and print what was ignored or adjusted. Raise SettingsError for invalid ones."""
    variables = variables or read_environment()
    settings = load_silently(options, variables)
    for notice in notices(settings, variables):
        options.say(notice)
    return settings


def notices(settings: Settings, variables: Environment) -> list[str]:
    """Return what was ignored or adjusted in the configuration, a line each."""
    return [*map(str, variables.problems), *misspelt_variables(variables.variables), *settings.notices]


def parse_symbols(texts: tuple[str, ...], options: Options) -> tuple[Symbol, ...]:
    """Return the symbols named on the command line, without duplicates. Raise a usage error for an invalid one."""
    try:
        readings = [read_symbol(text) for text in texts]
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    symbols, ignored = without_duplicates(reading.symbol for reading in readings)
    for notice in [*notes_on(readings), *ignored]:
        options.say(notice)
    return symbols


def parse_companies(texts: tuple[str, ...], options: Options) -> tuple[str, ...]:
    """Return the symbols named for a question, as `parse_symbols` does; `FB@2022-06-09`, who had FB then, stays."""
    qualified = tuple(text.upper() for text in texts if QUALIFIED in text)
    return *parse_symbols(tuple(text for text in texts if QUALIFIED not in text), options), *qualified

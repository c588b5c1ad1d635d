"""Configurations: how tests load one, and what they expect of one that is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings, load

NO_VARIABLES = Environment({})

Configured = Callable[..., Settings]
"""Loads a configuration file of this text, under these variables."""


def refusal(read: Callable[[], object]) -> str:
    """Return the one line with which a configuration is refused."""
    with pytest.raises(SettingsError) as refused:
        read()
    assert refused.value.exit_code == ExitCode.REFUSED
    line = str(refused.value)
    assert "\n" not in line
    return line


def loaded_or_refused(path: Path, variables: Environment) -> Settings | str:
    """Return the settings, or the line with which they are refused."""
    try:
        return load(path, variables)
    except SettingsError as error:
        return str(error)


def origins(settings: Settings) -> dict[str, str]:
    """Return where each value came from, by its path."""
    return {setting.path: setting.origin for setting in settings.values}

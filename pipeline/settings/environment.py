"""Environment: the process's variables and those of `.env`, and which of them mean something to this program."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from pipeline.errors import Trouble, file_reason
from pipeline.files import WrongEncoding, is_absent, read_text
from pipeline.settings.errors import SettingsError, shown
from pipeline.settings.schema import SETTABLE
from pipeline.text import few

API_KEY, API_KEY_FILE = "ALPHAVANTAGE_API_KEY", "ALPHAVANTAGE_API_KEY_FILE"
FLEET_URL, FLEET_URL_FILE = "PIPELINE_FLEET_URL", "PIPELINE_FLEET_URL_FILE"
OF_FILE = "_FILE"
"""How variables end that name a file with a secret."""
NOTIFY_URLS, PING_URL = "PIPELINE_NOTIFY_URLS", "PIPELINE_PING_URL"
WEB_TOKEN = "PIPELINE_WEB_TOKEN"  # noqa: S105 - the name of a variable
CONFIG = "PIPELINE_CONFIG"
PREFIX = "PIPELINE_"
_LARGEST_DOTENV = 64_000
"""Characters, over a hundred times what is usual: 300,000 are a second of python-dotenv's parser."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The process's variables, and below them those of `.env`."""

    variables: Mapping[str, str]
    from_dotenv: frozenset[str] = frozenset()
    problems: tuple[Trouble, ...] = ()
    """What is wrong with `.env`."""

    def origin(self, name: str) -> str:
        """Return where the variable was set, as messages show it."""
        return f".env: {shown(name)}" if name in self.from_dotenv else shown(name)


def with_dotenv(variables: Mapping[str, str], dotenv: Path) -> Environment:
    """Return the variables, with those of the `.env` file added where it exists.

    Variables that are set already win, and nothing is interpolated. A broken line, or a file that other users can read,
    is a problem to report, not an error. A file in another encoding is both: a SettingsError among the problems.
    """
    try:
        text = read_text(dotenv)
        mode = dotenv.stat().st_mode
    except WrongEncoding as error:
        # Nothing in it is known: neither the key, nor which database is meant.
        return Environment(variables, problems=(SettingsError(f"{dotenv}: {error}", remedy=error.remedy),))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and is_absent(dotenv):
            return Environment(variables)
        problem = f"{dotenv}: cannot be read ({file_reason(error)}) and is ignored"
        return Environment(variables, problems=(Trouble(problem, remedy="make it a readable UTF-8 text file"),))
    if len(text) > _LARGEST_DOTENV:
        problem = f"{dotenv}: has {len(text):,} characters, more than {_LARGEST_DOTENV:,}, and is ignored"
        return Environment(variables, problems=(Trouble(problem, remedy="keep only the lines NAME=value"),))
    problems, broken = [], list[str]()
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            broken.append(str(binding.original.line))
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    if broken:
        lines = f"line {broken[0]} is" if len(broken) == 1 else f"lines {few(broken)} are"
        problems.append(Trouble(f"{dotenv}: {lines} ignored", remedy="write NAME=value"))
    if mode & (stat.S_IRGRP | stat.S_IROTH) and any(map(found.get, filter(_is_secret, found))):
        problems.append(Trouble(f"{dotenv}: other users can read the secrets in it", remedy=f"chmod 600 {dotenv}"))
    from_dotenv = found.keys() - variables.keys()
    return Environment({**found, **variables}, frozenset(from_dotenv), tuple(problems))


def variable_of(path: str) -> str:
    """Return the variable that overrides a key: `PIPELINE_SOURCE__PLAN` for `source.plan`."""
    return PREFIX + path.upper().replace(".", "__")


def key_variables(name: str) -> tuple[str, str]:
    """Return the variable that holds the API key of that name, and the one for a file that does. "": the only key."""
    variable = f"{API_KEY}_{name.upper()}" if name else API_KEY
    return variable, variable + OF_FILE


def _is_secret(variable: str) -> bool:
    is_key = variable.startswith(API_KEY) and not variable.endswith(OF_FILE)
    return is_key or variable in (FLEET_URL, NOTIFY_URLS, PING_URL, WEB_TOKEN)


def is_setting(variable: str) -> bool:
    """Whether a variable overrides a key of the configuration."""
    return variable in map(variable_of, SETTABLE)

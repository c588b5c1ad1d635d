"""Configuration file: read the TOML and refuse unknown keys and secrets in it; the values are not checked yet."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

from pipeline.errors import file_reason
from pipeline.files import WrongEncoding, is_absent, read_text
from pipeline.settings.environment import API_KEY, FLEET_URL, NOTIFY_URLS, PING_URL, WEB_TOKEN
from pipeline.settings.errors import SettingsError, shown
from pipeline.settings.schema import KEYS, REPEATED, SCHEDULE, TABLES, places
from pipeline.text import without_middle

_SECRETS = {
    ("api", "key"): API_KEY,
    ("fleet", "url"): FLEET_URL,
    ("notify", "url"): NOTIFY_URLS,
    ("ping", "url"): PING_URL,
    ("web", "token"): WEB_TOKEN,
}
"""A key whose name contains all these words is meant to hold a secret: its variable."""
_NESTED = frozenset(name for name in TABLES if "." in name)
_LONGEST_ERROR = 120
"""Characters of what Python says about a file: it may repeat a key, and it ends with the place."""
_NAMES_OF_SECRETS = ("key", "secret", "token", "value")
"""What people call the key itself in a table [[keys]]."""


def read_config(path: Path) -> dict[str, Any]:
    """Return the file's document, in which each key is known and each table is one. Raise SettingsError otherwise."""
    document = _parse(path)
    for name, value in document.items():
        if name in TABLES and name not in _NESTED:
            _check_tables(path, name, value)
            continue
        for inner in value if isinstance(value, dict) else ():
            _refuse_secret(path, f"{name}.{inner}")
        _refuse_unknown(path, name, place=name)
        if "." in name:
            raise SettingsError(f'{path}: "{shown(name)}": unknown key', remedy="write it without the quotes")
    return document


def _check_tables(path: Path, name: str, value: Any) -> None:
    tables = places(name, value)
    if not all(isinstance(table, dict) for table in tables.values()) or (name in REPEATED and name in tables):
        heading = f"[[{name}]]" if name in REPEATED else f"[{name}]"
        repeated = f", or [[{name}]] for each of several" if name == SCHEDULE else ""
        what = "several tables" if name in REPEATED else "a table"
        raise SettingsError(f"{path}: {name} must be {what}", remedy=f"write {heading} and its keys below it{repeated}")
    for place, table in tables.items():
        for key, inner in table.items():
            if f"{name}.{key}" in TABLES:
                _check_tables(path, f"{name}.{key}", inner)
            elif name in REPEATED and key in _NAMES_OF_SECRETS:
                raise SettingsError(
                    f"{path}: {place}.{shown(key)}: secrets do not belong in this file",
                    remedy=f"set {API_KEY}_<NAME>, or write it into .env",
                )
            else:
                _refuse_unknown(path, f"{name}.{key}", place=f"{place}.{key}")


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except WrongEncoding as error:
        raise SettingsError(f"{path}: {error}", remedy=error.remedy) from None
    except (OSError, ValueError) as error:
        problem = f"{path}: cannot be read ({file_reason(error)})"
        raise SettingsError(problem, remedy=_reading_remedy(path, error)) from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: invalid TOML: nested too deeply") from None
    except ValueError as error:  # a number of 5,000 digits raises one that is not a TOMLDecodeError
        problem = without_middle(str(error), _LONGEST_ERROR)
        raise SettingsError(f"{path}: invalid TOML: {problem}", remedy=_toml_remedy(str(error), text)) from None


def _reading_remedy(path: Path, error: OSError | ValueError) -> str:
    """Return what makes the file readable. `pipeline init` writes one only where there is nothing."""
    if isinstance(error, FileNotFoundError) and is_absent(path):
        return "pipeline init writes one"
    if isinstance(error, PermissionError):
        return "let the user of this command read it, and enter its folder"
    if isinstance(error, OSError):
        return "put a text file there; pipeline init writes one where the name is free"
    return "save it as text in UTF-8"


def _toml_remedy(error: str, text: str) -> str | None:
    """Return what to do about common mistakes. Of the text it repeats known keys alone: the rest may be a secret."""
    lines = text.splitlines()
    if {"[schedule]", "[[schedule]]"} <= {line.partition("#")[0].strip() for line in lines}:
        return "write [[schedule]] for each of several schedules, and no [schedule]"
    at = re.search(r"at line ([0-9]+)", error)
    if at is None or int(at[1]) > len(lines):
        return None
    name = lines[int(at[1]) - 1].partition("=")[0].strip()
    return f"check {name} = ...: texts need quotes" if any(key.rpartition(".")[2] == name for key in KEYS) else None


def _refuse_unknown(path: Path, key: str, *, place: str) -> None:
    if key in KEYS:
        return
    _refuse_secret(path, place)
    same_name = [known for known in (*KEYS, *TABLES) if known.rpartition(".")[2] == key.rpartition(".")[2]]
    near = same_name or difflib.get_close_matches(key, [*KEYS, *TABLES], n=1)
    remedy = f"did you mean {near[0]}?" if near else "pipeline config lists the keys"
    raise SettingsError(f"{path}: {shown(place)}: unknown key", remedy=remedy)


def _refuse_secret(path: Path, name: str) -> None:
    letters = re.sub("[^a-z]", "", name.lower())
    for words, variable in _SECRETS.items():
        if all(word in letters for word in words):
            remedy = f"set {variable}, or write it into .env"
            raise SettingsError(f"{path}: {shown(name)}: secrets do not belong in this file", remedy=remedy)

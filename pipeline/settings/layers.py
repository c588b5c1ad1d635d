"""Layers: the values of the file, of the environment over it, and of the command line, each with its origin.

A value has its key's type here, but need not make sense yet.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
from platformdirs import user_data_path

from pipeline.decoding import converted, decoder
from pipeline.errors import Undecodable
from pipeline.settings.config_file import read_config
from pipeline.settings.environment import Environment, variable_of
from pipeline.settings.errors import SettingsError, quoted
from pipeline.settings.schema import SCHEDULE, SECRET_KEYS, SETTABLE, Configuration, leaves, requirement, type_of

T = TypeVar("T")


class Layer(IntEnum):
    """Where values come from; a later one overrides those before it."""

    DEFAULT = 0
    FILE = 1
    DOTENV = 2
    ENVIRONMENT = 3
    COMMAND_LINE = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: the layer, and its name for people."""

    layer: Layer
    name: str

    def place(self, path: str) -> str:
        """Return how an error names the place of a value: a variable's name says which key it is for."""
        return f"{self.name}: {path}" if self.layer <= Layer.FILE else self.name


_DEFAULT = Origin(Layer.DEFAULT, "default")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, as configured, and where it came from."""

    path: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Layered:
    """The configuration of all layers, and where each value was set."""

    path: Path | None
    configuration: Configuration
    values: tuple[Setting, ...]
    origins: Mapping[str, Origin]

    def origin(self, path: str) -> Origin:
        """Return where the value at a path was set."""
        return self.origins.get(path, _DEFAULT)

    def place(self, path: str) -> str:
        """Return how an error names the place of the value at a path."""
        return self.origin(path).place(path)

    def checked(self, path: str, check: Callable[[str], T], text: str) -> T:
        """Return what `check` makes of a text at a path, and put the place into the errors that it raises."""
        try:
            return check(text)
        except SettingsError as error:
            raise error.at(self.place(path)) from None
        except ValueError as error:
            raise SettingsError(f"{self.place(path)}: {error}") from None


def read_layers(path: Path | None, environment: Environment, *, database: Path | None) -> Layered:
    """Return the file's values, overridden by those of the environment and of `--database`.

    Raise SettingsError for a file that cannot be read, an unknown key, or a value of the wrong type.
    """
    document = read_config(path) if path else {}
    origins = {at: Origin(Layer.FILE, str(path)) for at, _, _ in leaves(document)}
    for key, text, origin in _overrides(path, document, environment, database):
        place, _, name = key.rpartition(".")
        (document.setdefault(place, {}) if place else document)[name] = text
        origins[key] = origin
    for at, table, name in leaves(document):
        table[name] = _converted(table[name], type_of(at), origins[at], at)
    configuration = msgspec.convert(document, Configuration)
    complete = leaves(msgspec.to_builtins(configuration))
    values = tuple(Setting(at, table[name], origins.get(at, _DEFAULT).name) for at, table, name in complete)
    return Layered(path, configuration, values, origins)


def _overrides(
    path: Path | None, document: Mapping[str, Any], environment: Environment, database: Path | None
) -> Iterator[tuple[str, str, Origin]]:
    """Yield the keys that variables or the command line set, the texts, and their origins."""
    for key in SETTABLE:
        variable = variable_of(key)
        if variable not in environment.variables:
            continue
        if key.startswith(f"{SCHEDULE}.") and isinstance(document.get(SCHEDULE), list):
            raise SettingsError(
                f"{environment.origin(variable)}: {path} has [[{SCHEDULE}]] tables, and a variable cannot name one",
                remedy="set it in that file",
            )
        layer = Layer.DOTENV if variable in environment.from_dotenv else Layer.ENVIRONMENT
        yield key, environment.variables[variable], Origin(layer, environment.origin(variable))
    if database is not None:
        yield "database", str(database), Origin(Layer.COMMAND_LINE, "--database")
    elif path is None and variable_of("database") not in environment.variables:
        default = user_data_path("overview-pipeline", appauthor=False) / "overviews.db"
        yield "database", str(default), Origin(Layer.DEFAULT, "default: no configuration file")


def _converted(value: Any, kind: Any, origin: Origin, path: str) -> Any:
    """Return the value as the key's type; variables hold text, lists as JSON. Raise SettingsError for a wrong type."""
    is_text = origin.layer in (Layer.DOTENV, Layer.ENVIRONMENT)
    if is_text and list[str] in (kind, *get_args(kind)):
        value, is_text = _json_list(value, origin), False
    if is_text and kind == dict[str, Any]:
        value, is_text = _json_table(value, origin), False
    try:
        return converted(value, kind, strict=not is_text)
    except Undecodable:
        found = "" if path in SECRET_KEYS else f" (it is {quoted(value)})"
        raise SettingsError(f"{origin.place(path)}: must be {requirement(path)}{found}") from None


_decode_list = decoder(list[Any])
_decode_table = decoder(dict[str, Any])


def _json_table(text: str, origin: Origin) -> dict[str, Any]:
    try:
        return _decode_table(text)
    except Undecodable:
        raise SettingsError(f"{origin.name}: expected an object as JSON", remedy='write {"FB": "META"}') from None


def _json_list(text: str, origin: Origin) -> list[Any]:
    try:
        return _decode_list(text)
    except Undecodable:
        remedy = 'write ["AAPL", "MSFT"], ["25/day"] or []'
        raise SettingsError(f"{origin.name}: expected a list as JSON", remedy=remedy) from None

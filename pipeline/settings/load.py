"""Load: the configuration file, the environment over it, all of it checked, in the units that the program uses.

Each value keeps its origin: the default, the file, or the variable that set it. Secrets are not among the values.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from itertools import chain, combinations
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from platformdirs import user_data_path

from pipeline.errors import file_reason
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.quota.limits import PLANS, Limit, max_workers
from pipeline.schedule.cron import Schedule, check_cron, check_timezone
from pipeline.settings.addresses import Listen, check_url
from pipeline.settings.config_file import read_config
from pipeline.settings.environment import CONFIG, Environment, variable_of
from pipeline.settings.errors import SettingsError
from pipeline.settings.schema import KEYS, SCHEDULE, Configuration, ScheduleTable, leaves, places, type_of
from pipeline.settings.symbol_files import read_symbol_file, without_duplicates
from pipeline.text import cut

T = TypeVar("T")

DEFAULT_CONFIG = Path("config/pipeline.toml")
_NOT_IN_BASE_URLS = "@?# \\"
"""A user, a query or a fragment; and a backslash, because programs disagree on which host a URL with one names."""
_MOST_SHOWN = 60


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
class Settings:
    """The configuration, checked, in the units that the program uses."""

    database: Path
    symbols: tuple[Symbol, ...]
    base_url: str
    limits: tuple[Limit, ...]
    concurrency: int
    timeout: timedelta
    fresh_for: timedelta
    attempts: int
    wait: timedelta
    resume: bool
    """Whether the daemon resumes a run that the quota cut short when the window frees."""
    schedules: tuple[Schedule, ...]
    stale_after: timedelta
    listen: Listen | None
    outcomes_kept: timedelta
    config: Path | None
    """The configuration file, or None where there is none."""
    values: tuple[Setting, ...] = field(repr=False)
    notices: tuple[str, ...] = field(repr=False)
    """What was ignored: duplicate symbols, lines of a listing."""

    @property
    def all_symbols(self) -> tuple[Symbol, ...]:
        """Return those of [symbols], then those that only a schedule names."""
        of_schedules = (schedule.symbols or () for schedule in self.schedules)
        return tuple(dict.fromkeys(chain(self.symbols, *of_schedules)))


def load(config: Path | None, environment: Environment, *, database: Path | None = None) -> Settings:
    """Return the settings of the file and the environment. Raise SettingsError at the first that cannot be used.

    `config` is the file named on the command line. Without it PIPELINE_CONFIG names the file, or else it is
    `config/pipeline.toml`, which alone may be missing: then everything has its default, and the database is in the
    user's data folder. `database` overrides what is configured.
    """
    path = named_config(config, environment) or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    return _check(_read(path, environment, database))


def named_config(named: Path | None, environment: Environment) -> Path | None:
    """Return the configuration file that the command line (`named`) or else PIPELINE_CONFIG names."""
    variable = environment.variables.get(CONFIG)
    return named or (Path(variable) if variable else None)


@dataclass(frozen=True, slots=True)
class _Layered:
    """The configuration of all layers, and where each value was set."""

    path: Path | None
    configuration: Configuration
    schedule_places: tuple[str, ...]
    """The path of each schedule's table: `schedule`, or `schedule[1]` and so on."""
    values: tuple[Setting, ...]
    origins: Mapping[str, Origin]

    def origin(self, path: str) -> Origin:
        return self.origins.get(path, _DEFAULT)

    def place(self, path: str) -> str:
        return self.origin(path).place(path)

    def checked(self, path: str, check: Callable[[str], T], text: str) -> T:
        """Return what `check` makes of a text at a path, and put the place into the errors that it raises."""
        try:
            return check(text)
        except SettingsError as error:
            raise error.at(self.place(path)) from None
        except ValueError as error:
            raise SettingsError(f"{self.place(path)}: {error}") from None


def _read(path: Path | None, environment: Environment, database: Path | None) -> _Layered:
    """Return the file's values, overridden by those of the environment and the command line, each of its type."""
    document = read_config(path) if path else {}
    origins = {at: Origin(Layer.FILE, str(path)) for at, _, _ in leaves(document)}
    for key, text, origin in _overrides(path, document, environment, database):
        place, _, name = key.rpartition(".")
        (document.setdefault(place, {}) if place else document)[name] = text
        origins[key] = origin
    for at, table, name in leaves(document):
        table[name] = _converted(table[name], type_of(at), origins[at], at)
    schedule = document.get(SCHEDULE, {})
    is_list = isinstance(schedule, list)
    configuration = msgspec.convert({**document, SCHEDULE: schedule if is_list else [schedule]}, Configuration)
    complete = msgspec.to_builtins(configuration)
    if not is_list:
        (complete[SCHEDULE],) = complete[SCHEDULE]
    values = [Setting(at, table[name], origins.get(at, _DEFAULT).name) for at, table, name in leaves(complete)]
    return _Layered(path, configuration, tuple(places(SCHEDULE, schedule)), tuple(values), origins)


def _overrides(
    path: Path | None, document: Mapping[str, Any], environment: Environment, database: Path | None
) -> Iterator[tuple[str, str, Origin]]:
    """Yield the keys that variables or the command line set, the texts, and their origins."""
    for key in KEYS:
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
    if is_text and "list" in str(kind):
        value, is_text = _json_list(value, origin), False
    try:
        return msgspec.convert(value, kind, strict=not is_text)
    except msgspec.ValidationError as error:
        expected = str(error).replace("`", "").lower().replace("expected bool", "expected true or false")
        shown = cut(repr(value), _MOST_SHOWN)
        raise SettingsError(f"{origin.place(path)}: {expected} (it is {shown})") from None


def _json_list(text: str, origin: Origin) -> list[Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise SettingsError(
            f"{origin.name}: expected a list as JSON", remedy='write ["AAPL", "MSFT"], ["25/day"] or []'
        )
    return found


def _check(read: _Layered) -> Settings:
    """Return what the configuration means. Raise SettingsError for a value that makes no sense."""
    source, collect, keep = read.configuration.source, read.configuration.collect, read.configuration.keep
    status = read.configuration.status
    limits = _limits(read)
    listed = read.configuration.symbols
    symbols, notices = _symbols(read, "symbols.list", listed.listed, "symbols.file", listed.file)
    schedules, more_notices = _schedules(read)
    return Settings(
        database=read.checked("database", _file_path, read.configuration.database),
        symbols=symbols,
        base_url=read.checked("source.base_url", _base_url, source.base_url),
        limits=limits,
        concurrency=source.concurrency or max_workers(limits),
        timeout=timedelta(seconds=source.timeout_seconds),
        fresh_for=timedelta(hours=collect.fresh_for_hours),
        attempts=collect.attempts,
        wait=timedelta(seconds=collect.wait_seconds),
        resume=collect.resume,
        schedules=schedules,
        stale_after=timedelta(hours=status.stale_after_hours),
        listen=None if status.listen is None else read.checked("status.listen", Listen.parse, status.listen),
        outcomes_kept=timedelta(days=keep.outcomes_days),
        config=read.path,
        values=read.values,
        notices=(*notices, *more_notices),
    )


def _limits(read: _Layered) -> tuple[Limit, ...]:
    """Return the limits, or those of the plan: whichever the later layer sets. One layer must not set both."""
    source = read.configuration.source
    plan, limits = read.origin("source.plan"), read.origin("source.limits")
    if source.limits is not None:
        if plan.layer is limits.layer:
            raise SettingsError(f"{limits.name}: source.plan and source.limits are both set", remedy="keep one of them")
        if limits.layer > plan.layer:
            return tuple(read.checked("source.limits", Limit.parse, text) for text in source.limits)
    return read.checked("source.plan", _plan, source.plan)


def _plan(name: str) -> tuple[Limit, ...]:
    if name in PLANS:
        return PLANS[name]
    near = difflib.get_close_matches(name, PLANS, n=1)
    raise SettingsError(
        f"unknown plan {cut(repr(name), _MOST_SHOWN)} (expected one of: {', '.join(PLANS)})",
        remedy=f"did you mean {near[0]}?" if near else None,
    )


def _base_url(url: str) -> str:
    check_url(
        url,
        forbidden=_NOT_IN_BASE_URLS,
        remedy="use one without user, query or fragment, such as https://www.alphavantage.co/query",
    )
    return url


def _file_path(text: str) -> Path:
    """Return the path of a file, with `~` expanded. Raise SettingsError for one that cannot be a file's."""
    shown = cut(repr(text), _MOST_SHOWN)
    try:
        path = Path(text).expanduser()
        path.exists()  # raises for a name that is too long, or a folder that we may not search
        text.encode()
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        why = file_reason(error) if isinstance(error, OSError) else "no such user, or not UTF-8"
        raise SettingsError(f"{shown} cannot be used ({why})") from None
    if "\0" in text or not path.name:
        raise SettingsError(f"{shown} is not the path of a file")
    return path


def _schedules(read: _Layered) -> tuple[tuple[Schedule, ...], list[str]]:
    """Return the schedules, no two of which have the same line and zone, and notices about their symbols."""
    tables = dict(zip(read.schedule_places, read.configuration.schedule, strict=True))
    schedules, notices = {}, []
    for place, table in tables.items():
        schedules[place], of_table = _schedule(read, place, table)
        notices += [f"{place}: {notice}" for notice in of_table]
    for (place, one), (other, two) in combinations(schedules.items(), 2):
        if str(one).lower() == str(two).lower():
            raise SettingsError(
                f"{read.path}: {place} and {other} are both {one}", remedy="merge them into one, with all symbols"
            )
    return tuple(schedules.values()), notices


def _schedule(read: _Layered, place: str, table: ScheduleTable) -> tuple[Schedule, list[str]]:
    read.checked(f"{place}.cron", check_cron, table.cron)
    read.checked(f"{place}.timezone", check_timezone, table.timezone)
    listed = f"{place}.symbols"
    symbols, notices = _symbols(read, listed, table.symbols, f"{place}.symbols_file", table.symbols_file)
    if table.symbols is not None and not symbols:
        raise SettingsError(
            f"{read.place(listed)}: the list is empty",
            remedy="name some symbols, or leave it out to collect all of [symbols]",
        )
    return Schedule(table.cron, table.timezone, timedelta(hours=table.catch_up_hours), symbols or None), notices


def _symbols(
    read: _Layered, listed_at: str, listed: Iterable[str] | None, file_at: str, file: str | None
) -> tuple[tuple[Symbol, ...], list[str]]:
    """Return the symbols of a list and a file, each once, and notices of what was ignored."""
    symbols = [read.checked(listed_at, parse_symbol, text) for text in listed or ()]
    notices: list[str] = []
    if file is not None:
        folder = read.path.parent if read.path is not None else Path()
        found, notices = read.checked(file_at, lambda text: read_symbol_file(folder / _file_path(text)), file)
        symbols += found
    unique, duplicates = without_duplicates(symbols)
    return unique, notices + duplicates

"""Settings: the configuration file and the environment, checked whole before anything starts.

Every value has a path (`source.plan`), a type, a default, and an origin: the default, the file, or the variable that
set it. Secrets come from the environment alone, and are never among the values.
"""

import csv
import difflib
import ipaddress
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum
from io import StringIO
from itertools import chain, combinations, groupby
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from dotenv.parser import parse_stream
from msgspec import Meta
from platformdirs import user_data_path

from pipeline.errors import ExitCode, Trouble, file_reason
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.quota.limits import PLANS, Limit, max_workers
from pipeline.schedule.cron import Schedule, check_cron, check_timezone
from pipeline.text import cut, few

DEFAULT_CONFIG = Path("config/pipeline.toml")
DEFAULT_DATABASE = "data/overviews.db"
KEY, KEY_FILE = "ALPHAVANTAGE_API_KEY", "ALPHAVANTAGE_API_KEY_FILE"
NOTIFY_URLS, PING_URL = "PIPELINE_NOTIFY_URLS", "PIPELINE_PING_URL"
_SECRETS = {KEY: "the key", NOTIFY_URLS: "the secrets", PING_URL: "the secrets"}
_PREFIX = "PIPELINE_"


class SettingsError(Trouble):
    """A configuration that cannot be used: the line names the place, what is wrong there, and the remedy."""

    exit_code = ExitCode.REFUSED


# The environment


@dataclass(frozen=True, slots=True)
class Environment:
    """The process's variables, and below them those of `.env`."""

    variables: Mapping[str, str]
    from_file: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    def origin(self, name: str) -> str:
        """Return where the variable was set, for people."""
        return f".env: {name}" if name in self.from_file else name


def environment(variables: Mapping[str, str], dotenv: Path) -> Environment:
    """Return the variables and, where the file is there, its own: those set win, nothing is interpolated.

    A broken line or a file that others can read is a problem to tell, not an error.
    """
    try:
        text = dotenv.read_text(encoding="utf-8")
        mode = dotenv.stat().st_mode
    except FileNotFoundError:
        return Environment(variables)
    except (OSError, ValueError) as error:
        return Environment(variables, problems=(f"{dotenv}: cannot be read ({_why(error)}): nothing of it is used",))
    problems = []
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(f"{dotenv}: line {binding.original.line} is not NAME=value: it is skipped")
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    secrets = [what for name, what in _SECRETS.items() if found.get(name)]
    if mode & (stat.S_IRGRP | stat.S_IROTH) and secrets:
        problems.append(f"{dotenv}: others on this machine can read {secrets[0]} in it: chmod 600 {dotenv}")
    own = found.keys() - variables.keys()
    return Environment({**found, **variables}, frozenset(own), tuple(problems))


def key_variable(environment: Environment) -> str | None:
    """Return the variable that the API key is taken from, None if none is set.

    One that is empty gives way to one that is not: the `.env` of `pipeline init` begins with an empty key. Of two that
    are not, the environment's comes before that of `.env`.
    """
    names = [name for name in (KEY, KEY_FILE) if name in environment.variables]
    return min(
        names, key=lambda name: (not environment.variables[name].strip(), name in environment.from_file), default=None
    )


def api_key(environment: Environment) -> str:
    """Return the API key. Raise SettingsError where there is none, or none that could be one."""
    name = key_variable(environment)
    if name is None:
        raise SettingsError(f"no API key: set {KEY}, write it into .env, or try without: pipeline collect --sandbox")
    value = environment.variables[name]
    if name == KEY or not value.strip():
        return _checked_key(value, environment.origin(name))
    path = Path(value)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{environment.origin(name)}: {path} cannot be read ({_why(error)})") from None
    return _checked_key(text, str(path))


def _checked_key(text: str, origin: str) -> str:
    key = text.strip()
    if not key:
        raise SettingsError(f"{origin}: the API key is empty; a free one is at alphavantage.co/support/#api-key")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"{origin}: no API key: it holds spaces or characters that none has")
    return key


_NEXT_URL = re.compile(r"\s*,\s*(?=[a-z][a-z0-9+.-]*://)|\s+", re.ASCII | re.IGNORECASE)
"""What parts one URL from the next. Other commas belong to a URL: those of mail have them between addresses."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://.", re.ASCII | re.IGNORECASE)


def notify_urls(environment: Environment) -> tuple[str, ...]:
    """Return the URLs that notifications go to, none if none are set. Raise SettingsError for what is no URL.

    They are secrets: an error does not repeat them, nor is one to be logged.
    """
    urls = [url.rstrip(",") for url in _NEXT_URL.split(environment.variables.get(NOTIFY_URLS, "").strip(" \t\r\n,"))]
    urls = [url for url in urls if url]
    for number, url in enumerate(urls, start=1):
        if not _SCHEME.match(url) or not url.isprintable():
            which = f"number {number} of {len(urls)} " if len(urls) > 1 else "it "
            raise SettingsError(
                f"{environment.origin(NOTIFY_URLS)}: {which}is no URL: write mailto://..., ntfy://... and so on,"
                " a space or a comma between two, a space within one as %20"
            )
    return tuple(urls)


def ping_url(environment: Environment) -> str | None:
    """Return the URL that is told of every run, None if none is set. Raise SettingsError for one that is not safe.

    It is a secret: an error does not repeat it, nor is it to be logged.
    """
    url = environment.variables.get(PING_URL, "").strip()
    if not url:
        return None
    where = environment.origin(PING_URL)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{where}: it is no URL, such as https://hc-ping.com/...") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if parts.scheme not in ("https", "http") or not parts.hostname or not is_plain:
        raise SettingsError(f"{where}: it is no URL, such as https://hc-ping.com/...")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingsError(f"{where}: over http it could be read on its way: use https (or loopback)")
    return url


# The values


_Hours = Annotated[float, Meta(ge=0, le=24 * 365 * 10)]
_KEYS: dict[str, tuple[Any, Any]] = {
    "database": (Annotated[str, Meta(min_length=1)], DEFAULT_DATABASE),
    "symbols.list": (list[str], []),
    "symbols.file": (Annotated[str, Meta(min_length=1)] | None, None),
    "source.base_url": (str, "https://www.alphavantage.co/query"),
    "source.plan": (str | None, "free"),
    "source.limits": (list[str] | None, None),
    "source.concurrency": (Annotated[int, Meta(ge=1, le=1000)] | None, None),
    "source.timeout_seconds": (Annotated[float, Meta(gt=0, le=600)], 30.0),
    "collect.fresh_for_hours": (_Hours, 20.0),
    "collect.attempts": (Annotated[int, Meta(ge=1, le=10)], 3),
    "collect.wait_seconds": (Annotated[float, Meta(ge=0, le=86_400)], 120.0),
    "collect.continue": (bool, True),
    "schedule.cron": (str, "30 18 * * mon-fri"),
    "schedule.timezone": (str, "America/New_York"),
    "schedule.catch_up_hours": (_Hours, 36.0),
    "schedule.symbols": (list[str] | None, None),
    "schedule.symbols_file": (Annotated[str, Meta(min_length=1)] | None, None),
    "status.stale_after_hours": (_Hours, 72.0),
    "status.listen": (str | None, None),
    "keep.outcomes_days": (Annotated[int, Meta(ge=1, le=36_500)], 400),
}
_NOT_IN_PLAIN_URLS = "@?# \\"
"""A user, a query or a fragment; and what programs have read differently."""
_TABLES = {name.partition(".")[0] for name in _KEYS if "." in name}
_REPEATED = "schedule"
"""The table that there may be several of: [[schedule]]. Their paths count from 1: schedule[1].cron."""
_NUMBER = re.compile(r"\[[0-9]+\]")
_DEFAULT = "default"
_LAST_PORT = 65_535
_SHOWN = 60
"""Characters of a wrong value that an error repeats."""


class Layer(IntEnum):
    """Where values come from; a later one overrides those before it."""

    DEFAULT = 0
    FILE = 1
    DOTENV = 2
    ENVIRONMENT = 3
    COMMAND_LINE = 4


def misspelt(variables: Iterable[str]) -> Iterator[str]:
    """Yield what is to be told of variables that look like overrides and are none: those set nothing."""
    known = {*map(_variable, _KEYS), NOTIFY_URLS, PING_URL}
    for variable in sorted(variables):
        if variable.startswith(_PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=0.9)
            if near or "__" in variable:
                yield f"{variable} sets nothing{f'; did you mean {near[0]}?' if near else ': there is no such key'}"


def _variable(name: str) -> str:
    return _PREFIX + name.upper().replace(".", "__")


def is_setting(variable: str) -> bool:
    """Whether a variable of the environment overrides a setting."""
    return variable.removeprefix(_PREFIX).lower().replace("__", ".") in _KEYS


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, as configured, and where it came from."""

    path: str
    value: Any
    origin: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the daemon answers: a literal address or `localhost`, and a port. Port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was configured, checked and in the units the program reckons in."""

    database: Path
    symbols: tuple[Symbol, ...]
    base_url: str
    limits: tuple[Limit, ...]
    concurrency: int
    timeout: timedelta
    fresh_for: timedelta
    attempts: int
    wait: timedelta
    goes_on: bool
    """Whether the daemon goes on with a run when the window frees."""
    schedules: tuple[Schedule, ...]
    stale_after: timedelta
    listen: Listen | None
    outcomes_kept: timedelta
    config: Path | None
    """The configuration file, or None where there is none."""
    values: tuple[Setting, ...] = field(repr=False)
    notices: tuple[str, ...] = field(repr=False)
    """What was taken otherwise than written: symbols given twice, lines of a listing left out."""

    @property
    def all_symbols(self) -> tuple[Symbol, ...]:
        """Return those of [symbols], then those that only a schedule names."""
        of_schedules = (schedule.symbols or () for schedule in self.schedules)
        return tuple(dict.fromkeys(chain(self.symbols, *of_schedules)))


def load(config: Path | None, environment: Environment, *, database: Path | None = None) -> Settings:
    """Return the settings of the file and the environment. Raise SettingsError at the first that cannot be used.

    `config` is the file named on the command line; else PIPELINE_CONFIG names it, else `config/pipeline.toml`, which
    alone may be absent. Then everything has its default, and the database is in the user's data folder.
    """
    path = named_config(config, environment) or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    document = _document(path) if path else {}
    read = _Reading(path, dict(_flat(path, document)) if path else {}, environment)
    values = {name: read.setting(name) for name in _paths(read, document.get(_REPEATED))}
    if database is not None:
        values["database"] = Setting("database", str(database), "--database", Layer.COMMAND_LINE)
    elif path is None and values["database"].layer is Layer.DEFAULT:
        kept = user_data_path("overview-pipeline", appauthor=False) / "overviews.db"
        values["database"] = Setting("database", str(kept), f"{_DEFAULT}: no configuration file", Layer.DEFAULT)
    return _checked(path, values)


def named_config(named: Path | None, environment: Environment) -> Path | None:
    """Return the configuration file that is named, on the command line or else by PIPELINE_CONFIG."""
    variable = environment.variables.get(f"{_PREFIX}CONFIG")
    return named or (Path(variable) if variable else None)


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({_why(error)}); pipeline init writes one") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: no TOML: nested too deeply") from None
    except ValueError as error:  # a number of 5,000 digits is one, and no TOMLDecodeError
        both = {"[schedule]", "[[schedule]]"} <= {line.partition("#")[0].strip() for line in text.splitlines()}
        remedy = "; of several schedules each is a [[schedule]], and none a [schedule]" if both else ""
        raise SettingsError(f"{path}: no TOML: {error}{_of_line(str(error), text)}{remedy}") from None


def _of_line(error: str, text: str) -> str:
    """Return which key stands in the line that an error names; nothing of any other text, which may be a secret."""
    at = re.search(r"at line ([0-9]+)", error)
    lines = text.splitlines()
    if at is None or int(at[1]) > len(lines):
        return ""
    name = lines[int(at[1]) - 1].partition("=")[0].strip()
    is_known = any(key.rpartition(".")[2] == name for key in _KEYS)
    return f": {name} = ...; texts are written in quotes" if is_known else ""


def _flat(path: Path, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in _TABLES:
            for place, table in _tables(path, name, value):
                for key, member in table.items():
                    _known(path, f"{name}.{key}", f"{place}.{key}")
                    yield f"{place}.{key}", member
        else:
            for inner in value if isinstance(value, dict) else ():
                _no_secret(path, f"{name}.{inner}")
            _known(path, name, name)
            yield name, value


def _tables(path: Path, name: str, value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the table of that name and its place, or each of several. Raise SettingsError for what is no table."""
    places = {name: value}
    if name == _REPEATED and isinstance(value, list) and value:
        places = {f"{name}[{number}]": table for number, table in enumerate(value, start=1)}
    for place, table in places.items():
        if not isinstance(table, dict):
            several = f", or [[{name}]] for each of several" if name == _REPEATED else ""
            raise SettingsError(f"{path}: {name} is a table: write [{name}] and its keys below{several}")
        yield place, table


def _known(path: Path, name: str, place: str) -> None:
    if name in _KEYS:
        return
    _no_secret(path, place)
    near = difflib.get_close_matches(name, [*_KEYS, *_TABLES], n=1)
    raise SettingsError(f"{path}: {place}: no such key{f'; did you mean {near[0]}?' if near else ''}")


def _no_secret(path: Path, name: str) -> None:
    plain = re.sub("[^a-z]", "", name.lower())
    for words, variable in ((("api", "key"), KEY), (("notify", "url"), NOTIFY_URLS), (("ping", "url"), PING_URL)):
        if all(word in plain for word in words):
            raise SettingsError(f"{path}: {name}: secrets do not belong here: set {variable}, or write it into .env")


def _paths(read: "_Reading", repeated: object) -> Iterator[str]:
    """Yield the path of every value, table by table. `repeated` is what the file has under `schedule`."""
    for table, names in groupby(_KEYS, lambda name: name.partition(".")[0]):
        if table == _REPEATED and isinstance(repeated, list):
            keys = list(names)
            read.refuse_to_override(keys)
            for number in range(1, len(repeated) + 1):
                yield from (name.replace(table, f"{table}[{number}]", 1) for name in keys)
        else:
            yield from names


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where values are looked for: the environment first, then the file, then the default."""

    path: Path | None
    in_file: Mapping[str, Any]
    environment: Environment

    def refuse_to_override(self, names: Iterable[str]) -> None:
        """Raise SettingsError if a variable sets one of the keys that several tables of the file have."""
        for variable in map(_variable, names):
            if variable in self.environment.variables:
                raise SettingsError(
                    f"{self.environment.origin(variable)}: {self.path} has [[{_REPEATED}]] tables, and a variable does"
                    " not say which of them it is for: set it in that file"
                )

    def setting(self, name: str) -> Setting:
        kind, default = _KEYS[_NUMBER.sub("", name)]
        variable = _variable(name)
        if variable in self.environment.variables:
            origin = self.environment.origin(variable)
            layer = Layer.DOTENV if variable in self.environment.from_file else Layer.ENVIRONMENT
            return Setting(name, _from_text(self.environment.variables[variable], kind, origin), origin, layer)
        if name in self.in_file:
            origin = str(self.path)
            return Setting(name, _converted(self.in_file[name], kind, f"{origin}: {name}"), origin, Layer.FILE)
        return Setting(name, default, _DEFAULT, Layer.DEFAULT)


def _from_text(text: str, kind: Any, origin: str) -> Any:
    if "list" not in str(kind):
        return _converted(text, kind, origin, strict=False)
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise SettingsError(f'{origin}: a list is given as JSON, such as ["AAPL", "MSFT"] or ["25/day"]')
    return _converted(found, kind, origin)


def _converted(value: Any, kind: Any, where: str, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        wanted = str(error).replace("`", "").lower().replace("expected bool", "expected true or false")
        raise SettingsError(f"{where}: {wanted} (it is {_short(value)})") from None


def _short(value: object) -> str:
    return cut(repr(value), _SHOWN)


# What the values mean


def _checked(path: Path | None, values: Mapping[str, Setting]) -> Settings:
    def hours(name: str) -> timedelta:
        return timedelta(hours=values[name].value)

    limits = _limits(values["source.plan"], values["source.limits"])
    symbols, notices = _symbols(path, values["symbols.list"], values["symbols.file"])
    schedules = _schedules(path, values, notices)
    return Settings(
        database=_path(values["database"]),
        symbols=symbols,
        base_url=_base_url(values["source.base_url"]),
        limits=limits,
        concurrency=values["source.concurrency"].value or max_workers(limits),
        timeout=timedelta(seconds=values["source.timeout_seconds"].value),
        fresh_for=hours("collect.fresh_for_hours"),
        attempts=values["collect.attempts"].value,
        wait=timedelta(seconds=values["collect.wait_seconds"].value),
        goes_on=values["collect.continue"].value,
        schedules=schedules,
        stale_after=hours("status.stale_after_hours"),
        listen=_listen(values["status.listen"]),
        outcomes_kept=timedelta(days=values["keep.outcomes_days"].value),
        config=path,
        values=tuple(values.values()),
        notices=tuple(notices),
    )


def _at(setting: Setting) -> str:
    """Return the place of a setting, as an error names it: a variable's name says which setting it is."""
    return f"{setting.origin}: {setting.path}" if setting.layer <= Layer.FILE else setting.origin


def _valid(setting: Setting, check: Any) -> Any:
    try:
        return check(setting.value)
    except ValueError as error:
        raise SettingsError(f"{_at(setting)}: {error}") from None


def _limits(plan: Setting, limits: Setting) -> tuple[Limit, ...]:
    """Return the limits of the one that was set. Set in one place both contradict; else the later layer overrides."""
    if limits.value is not None:
        if plan.layer is limits.layer:
            raise SettingsError(f"{limits.origin}: source.plan and source.limits are both set: keep one")
        if limits.layer > plan.layer:
            return tuple(_valid(replace(limits, value=text), Limit.parse) for text in limits.value)
    if plan.value not in PLANS:
        near = difflib.get_close_matches(str(plan.value), PLANS, n=1)
        meant = f' (did you mean "{near[0]}"?)' if near else ""
        raise SettingsError(f"{_at(plan)}: {_short(plan.value)} is no plan{meant}; there are: {', '.join(PLANS)}")
    return PLANS[plan.value]


def _path(setting: Setting) -> Path:
    """Return the path, with `~` resolved, if it can be one."""
    text = str(setting.value)
    try:
        path = Path(text).expanduser()
        path.exists()  # a name too long, a folder that is not ours to look into
        text.encode()
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        why = file_reason(error) if isinstance(error, OSError) else "no such user, or not UTF-8"
        raise SettingsError(f"{_at(setting)}: {_short(text)} cannot be used ({why})") from None
    if "\0" in text or not path.name:
        raise SettingsError(f"{_at(setting)}: {_short(text)} names no file")
    return path


def _base_url(setting: Setting) -> str:
    """Return the URL, if the key is safe on its way there: over TLS, or not leaving this machine."""
    url = str(setting.value)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{_at(setting)}: {_short(url)} is no URL") from None
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(_NOT_IN_PLAIN_URLS)
    if parts.scheme not in ("https", "http") or not parts.hostname or not is_plain:
        raise SettingsError(f"{_at(setting)}: {_short(url)} is no plain URL, such as https://www.alphavantage.co/query")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingsError(f"{_at(setting)}: over http the key could be read on its way: use https (or loopback)")
    return url


_ADDRESS = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})", re.ASCII | re.IGNORECASE)


def _listen(setting: Setting) -> Listen | None:
    """Return the address and port, if they are ones to listen on."""
    if setting.value is None:
        return None
    if found := _ADDRESS.fullmatch(setting.value):
        bracketed, plain, port = found.groups()
        host = (bracketed or plain).lower()
        if int(port) <= _LAST_PORT and (host == "localhost" or _version(host) == (6 if bracketed else 4)):
            return Listen(host, int(port))
    raise SettingsError(
        f"{_at(setting)}: {_short(setting.value)} is no address to listen on: write an address or localhost, and a"
        ' port, such as "127.0.0.1:8080" or "[::1]:8080"'
    )


def _version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# Schedules


def _schedules(config: Path | None, values: Mapping[str, Setting], notices: list[str]) -> tuple[Schedule, ...]:
    """Return the schedules, no two of which fire by the same line in the same zone."""
    places = [path.removesuffix(".cron") for path in values if path.endswith(".cron")]
    schedules = [_schedule(config, place, values, notices) for place in places]
    for (place, one), (other, two) in combinations(zip(places, schedules, strict=True), 2):
        if str(one).lower() == str(two).lower():
            raise SettingsError(f"{config}: {place} and {other} are both {one}: make one of them, with all symbols")
    return tuple(schedules)


def _schedule(config: Path | None, place: str, values: Mapping[str, Setting], notices: list[str]) -> Schedule:
    cron, zone = values[f"{place}.cron"], values[f"{place}.timezone"]
    _valid(cron, check_cron)
    _valid(zone, check_timezone)
    listed, file = values[f"{place}.symbols"], values[f"{place}.symbols_file"]
    symbols, told = _symbols(config, listed, file)
    if listed.value is not None and not symbols:
        raise SettingsError(
            f"{_at(listed)}: it holds no symbol: name some, or leave it out to ask for all of [symbols]"
        )
    notices += [f"{place}: {notice}" for notice in told]
    catch_up = timedelta(hours=values[f"{place}.catch_up_hours"].value)
    return Schedule(cron.value, zone.value, catch_up, symbols or None)


# Symbols


def _symbols(config: Path | None, listed: Setting, file: Setting) -> tuple[tuple[Symbol, ...], list[str]]:
    notices: list[str] = []
    found = [_valid(replace(listed, value=text), parse_symbol) for text in listed.value or ()]
    if file.value is not None:
        base = config.parent if config is not None else Path()
        found += _symbol_file(base / _path(file), _at(file), notices)
    return tuple(once(found, notices)), notices


def once(symbols: Iterable[Symbol], notices: list[str]) -> Iterator[Symbol]:
    """Yield each symbol once, and add to the notices which were given more often."""
    seen: set[Symbol] = set()
    again: dict[Symbol, None] = {}
    for symbol in symbols:
        if symbol in seen:
            again[symbol] = None
        else:
            seen.add(symbol)
            yield symbol
    if again:
        notices.append(f"taken once, though given more often: {few(list(again))}")


def _symbol_file(path: Path, where: str, notices: list[str]) -> list[Symbol]:
    shown = path if str(path).isprintable() else Path(repr(str(path)))  # an error is one line
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{where}: {shown} cannot be read ({_why(error)})") from None
    listing = text.lower().startswith("symbol,")
    symbols = _listing(shown, text, notices) if listing else list(_lines(shown, text))
    if not symbols:
        raise SettingsError(f"{shown}: holds no symbol: one a line, or a LISTING_STATUS csv with active stocks")
    return symbols


def _lines(path: Path, text: str) -> Iterator[Symbol]:
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also part at control characters
        name = line.partition("#")[0].strip()
        if name:
            try:
                yield parse_symbol(name)
            except ValueError as error:
                raise SettingsError(f"{path}: line {number}: {error}; one a line") from None


def _listing(path: Path, text: str, notices: list[str]) -> list[Symbol]:
    """Return the active stocks of a LISTING_STATUS csv. What it lists that is no symbol is left out, and told."""
    symbols, refused = [], []
    try:
        for row in csv.DictReader(StringIO(text)):
            # A csv of another making, pipeline symbols' for one, has no such columns: all of it is meant.
            if (row.get("status", "Active"), row.get("assetType", "Stock")) == ("Active", "Stock"):
                name = row.get("symbol") or row.get("Symbol") or ""
                try:
                    symbols.append(parse_symbol(name))
                except ValueError:
                    refused.append(name)
    except csv.Error as error:
        raise SettingsError(f"{path}: no csv: {error}") from None
    notices.append(f"{path}: {len(symbols):,} active stocks taken from the csv")
    if refused:
        notices.append(f"{path}: left out, being no symbols: {few([repr(name) for name in refused])}")
    return symbols


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return file_reason(error)
    return "not UTF-8" if isinstance(error, UnicodeError) else str(error)

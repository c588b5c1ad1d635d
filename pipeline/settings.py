"""Settings: the configuration file and the environment, checked whole before anything starts.

Every value has a path (`source.plan`), a type, a default, and an origin: the default, the file, or the variable that
set it. Secrets come from the environment alone, and are never among the values.
"""

import csv
import difflib
import ipaddress
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from dotenv.parser import parse_stream
from msgspec import Meta
from platformdirs import user_data_path

from pipeline.outcome import ExitCode, Trouble
from pipeline.overview import Symbol, parse_symbol
from pipeline.schedule import check_cron, check_zone
from pipeline.windows import PLANS, Limit, workers

DEFAULT_CONFIG = Path("config/pipeline.toml")
DEFAULT_DATABASE = "data/overviews.db"
KEY, KEY_FILE = "ALPHAVANTAGE_API_KEY", "ALPHAVANTAGE_API_KEY_FILE"
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
    except (OSError, UnicodeDecodeError) as error:
        return Environment(variables, problems=(f"{dotenv}: cannot be read ({_why(error)}): nothing of it is used",))
    problems = []
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            problems.append(f"{dotenv}: line {binding.original.line} is not NAME=value: it is skipped")
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    if mode & (stat.S_IRGRP | stat.S_IROTH) and KEY in found:
        problems.append(f"{dotenv}: others on this machine can read the key in it: chmod 600 {dotenv}")
    own = found.keys() - variables.keys()
    return Environment({**found, **variables}, frozenset(own), tuple(problems))


def api_key(environment: Environment) -> str:
    """Return the API key. Raise SettingsError where there is none, or none that could be one."""
    if KEY in environment.variables:
        return _checked_key(environment.variables[KEY], environment.origin(KEY))
    if KEY_FILE in environment.variables:
        path = Path(environment.variables[KEY_FILE])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{environment.origin(KEY_FILE)}: {path} cannot be read ({_why(error)})") from None
        return _checked_key(text, str(path))
    raise SettingsError(f"no API key: set {KEY}, write it into .env, or try without one: pipeline collect --sandbox")


def _checked_key(text: str, origin: str) -> str:
    key = text.strip()
    if not key:
        raise SettingsError(f"{origin}: the API key is empty; a free one is at alphavantage.co/support/#api-key")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"{origin}: no API key: it holds spaces or characters that none has")
    return key


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
    "status.stale_after_hours": (_Hours, 72.0),
    "status.listen": (str | None, None),
    "keep.outcomes_days": (Annotated[int, Meta(ge=1, le=36_500)], 400),
}
_DEFAULT = "default"


def is_setting(variable: str) -> bool:
    """Whether a variable of the environment overrides a setting."""
    return variable.removeprefix(_PREFIX).lower().replace("__", ".") in _KEYS


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, as configured, and where it came from."""

    path: str
    value: Any
    origin: str


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
    stale_after: timedelta
    config: Path | None
    """The configuration file, or None where there is none."""
    values: tuple[Setting, ...] = field(repr=False)
    notices: tuple[str, ...] = field(repr=False)
    """What was taken otherwise than written: symbols given twice, lines of a listing left out."""


def load(config: Path | None, environment: Environment, *, database: Path | None = None) -> Settings:
    """Return the settings of the file and the environment. Raise SettingsError at the first that cannot be used.

    `config` is the file named on the command line; else PIPELINE_CONFIG names it, else `config/pipeline.toml`, which
    alone may be absent. Then everything has its default, and the database is in the user's data folder.
    """
    path = _config_path(config, environment)
    read = _Reading(path, _file_values(path) if path else {}, environment)
    values = {name: read.setting(name) for name in _KEYS}
    if database is not None:
        values["database"] = Setting("database", str(database), "--database")
    elif path is None and values["database"].origin == _DEFAULT:
        kept = user_data_path("overview-pipeline", appauthor=False) / "overviews.db"
        values["database"] = Setting("database", str(kept), f"{_DEFAULT}: no configuration file")
    return _checked(path, values)


def _config_path(named: Path | None, environment: Environment) -> Path | None:
    variable = f"{_PREFIX}CONFIG"
    if named is not None:
        return named
    if environment.variables.get(variable):
        return Path(environment.variables[variable])
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _file_values(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({_why(error)}); pipeline init writes one") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: no TOML: {error}") from None
    return dict(_flat(path, document))


def _flat(path: Path, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    tables = {name.partition(".")[0] for name in _KEYS if "." in name}
    for name, value in document.items():
        if name not in tables:
            _known(path, name)
            yield name, value
        elif isinstance(value, dict):
            for key, member in value.items():
                _known(path, f"{name}.{key}")
                yield f"{name}.{key}", member
        else:
            raise SettingsError(f"{path}: {name} is a table: write [{name}] and its keys below")


def _known(path: Path, name: str) -> None:
    if name in _KEYS:
        return
    if "key" in name.lower() and "api" in name.lower():
        raise SettingsError(f"{path}: {name}: secrets do not belong here: set {KEY}, or write it into .env")
    near = difflib.get_close_matches(name, _KEYS, n=1)
    raise SettingsError(f"{path}: {name}: no such key{f'; did you mean {near[0]}?' if near else ''}")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where values are looked for: the environment first, then the file, then the default."""

    path: Path | None
    in_file: Mapping[str, Any]
    environment: Environment

    def setting(self, name: str) -> Setting:
        kind, default = _KEYS[name]
        variable = _PREFIX + name.upper().replace(".", "__")
        if variable in self.environment.variables:
            origin = self.environment.origin(variable)
            return Setting(name, _from_text(self.environment.variables[variable], kind, origin), origin)
        if name in self.in_file:
            origin = str(self.path)
            return Setting(name, _converted(self.in_file[name], kind, f"{origin}: {name}"), origin)
        return Setting(name, default, _DEFAULT)


def _from_text(text: str, kind: Any, origin: str) -> Any:
    if text.lstrip().startswith("[") and "list" in str(kind):
        try:
            return _converted(msgspec.json.decode(text), kind, origin)
        except msgspec.DecodeError:
            raise SettingsError(f'{origin}: no JSON list, such as ["AAPL", "MSFT"]') from None
    if "list" in str(kind):
        raise SettingsError(f'{origin}: a list is given as JSON, such as ["AAPL", "MSFT"]')
    return _converted(text, kind, origin, strict=False)


def _converted(value: Any, kind: Any, where: str, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {str(error).replace('`', '').lower()} (it is {value!r})") from None


# What the values mean


def _checked(path: Path | None, values: Mapping[str, Setting]) -> Settings:
    def hours(name: str) -> timedelta:
        return timedelta(hours=values[name].value)

    limits = _limits(values["source.plan"], values["source.limits"])
    symbols, notices = _symbols(path, values["symbols.list"], values["symbols.file"])
    _valid(values["schedule.cron"], check_cron)
    _valid(values["schedule.timezone"], check_zone)
    return Settings(
        database=Path(values["database"].value).expanduser(),
        symbols=symbols,
        base_url=_base_url(values["source.base_url"]),
        limits=limits,
        concurrency=values["source.concurrency"].value or workers(limits),
        timeout=timedelta(seconds=values["source.timeout_seconds"].value),
        fresh_for=hours("collect.fresh_for_hours"),
        attempts=values["collect.attempts"].value,
        wait=timedelta(seconds=values["collect.wait_seconds"].value),
        stale_after=hours("status.stale_after_hours"),
        config=path,
        values=tuple(values.values()),
        notices=tuple(notices),
    )


def _at(setting: Setting) -> str:
    """Return the place of a setting, as an error names it."""
    return setting.origin if setting.origin.isupper() else f"{setting.origin}: {setting.path}"


def _valid(setting: Setting, check: Any) -> Any:
    try:
        return check(setting.value)
    except ValueError as error:
        raise SettingsError(f"{_at(setting)}: {error}") from None


def _limits(plan: Setting, limits: Setting) -> tuple[Limit, ...]:
    """Return the limits of the one that was set. Set in one place both contradict; else the environment overrides."""
    if limits.value is not None:
        if plan.origin == limits.origin != _DEFAULT:
            raise SettingsError(f"{limits.origin}: source.plan and source.limits are both set: keep one")
        if plan.origin == _DEFAULT or limits.origin.removeprefix(".env: ").startswith(_PREFIX):
            return tuple(_valid(Setting(limits.path, text, limits.origin), Limit.parse) for text in limits.value)
    if plan.value not in PLANS:
        near = difflib.get_close_matches(str(plan.value), PLANS, n=1)
        meant = f'; did you mean "{near[0]}"?' if near else ""
        raise SettingsError(f"{_at(plan)}: {plan.value!r} is no plan{meant} There are: {', '.join(PLANS)}")
    return PLANS[plan.value]


def _base_url(setting: Setting) -> str:
    """Return the URL, if the key is safe on its way there: over TLS, or not leaving this machine."""
    url = str(setting.value)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{_at(setting)}: {url!r} is no URL") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise SettingsError(f"{_at(setting)}: {url!r} is no plain URL, such as https://www.alphavantage.co/query")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingsError(f"{_at(setting)}: over http the key could be read on its way: use https (or loopback)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# Symbols


def _symbols(config: Path | None, listed: Setting, file: Setting) -> tuple[tuple[Symbol, ...], list[str]]:
    notices: list[str] = []
    found = [_valid(Setting(listed.path, text, listed.origin), parse_symbol) for text in listed.value]
    if file.value is not None:
        base = config.parent if config is not None else Path()
        found += _symbol_file(base / Path(file.value).expanduser(), _at(file), notices)
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
        few = ", ".join(list(again)[:5]) + (", ..." if len(again) > 5 else "")
        notices.append(f"taken once, though given more often: {few}")


def _symbol_file(path: Path, where: str, notices: list[str]) -> list[Symbol]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: {path} cannot be read ({_why(error)})") from None
    listing = text.lower().startswith("symbol,")
    symbols = _listing(path, text, notices) if listing else list(_lines(path, text))
    if not symbols:
        raise SettingsError(f"{path}: holds no symbol: one a line, or a LISTING_STATUS csv with active stocks")
    return symbols


def _lines(path: Path, text: str) -> Iterator[Symbol]:
    for number, line in enumerate(text.splitlines(), start=1):
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
            if (row.get("status"), row.get("assetType")) == ("Active", "Stock"):
                name = row.get("symbol") or row.get("Symbol") or ""
                try:
                    symbols.append(parse_symbol(name))
                except ValueError:
                    refused.append(name)
    except csv.Error as error:
        raise SettingsError(f"{path}: no csv: {error}") from None
    notices.append(f"{path}: {len(symbols):,} active stocks taken from the listing")
    if refused:
        notices.append(f"{path}: left out, being no symbols: {', '.join(map(repr, refused[:5]))}")
    return symbols


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or type(error).__name__).lower() if isinstance(error, OSError) else "not UTF-8"

"""Load: the configuration, all of it checked, in the units that the program uses. Secrets are not part of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, combinations
from pathlib import Path

from pipeline import instants
from pipeline.errors import file_reason
from pipeline.files import is_absent, is_present, path_text
from pipeline.model.renames import ConfiguredRenames, Rename
from pipeline.model.symbol_spellings import notes_on, read_symbol
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.quota.keys import KeyPlan, all_limits
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule, check_cron, check_timezone
from pipeline.settings.addresses import Listen, check_url, host_name
from pipeline.settings.environment import CONFIG, Environment
from pipeline.settings.errors import SettingsError, quoted
from pipeline.settings.fleet import Fleet, read_fleet
from pipeline.settings.layers import Layered, Setting, read_layers
from pipeline.settings.plans import read_plans
from pipeline.settings.proxies import Proxy
from pipeline.settings.renames import CurrentNames, read_renames
from pipeline.settings.schema import SCHEDULE, ScheduleTable, places
from pipeline.settings.secrets import redaction, refuse_key_names, refuse_keys
from pipeline.settings.symbol_files import read_symbol_file, without_duplicates

_PROXY = "source.proxy"
DEFAULT_CONFIG = Path("config/pipeline.toml")
_NOT_IN_BASE_URLS = "@?# \\"
"""A user, a query or a fragment; and a backslash, because programs disagree on which host a URL with one names."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the record is served, and to whom."""

    listen: Listen | None
    allowed_hosts: frozenset[str]
    allow_anonymous: bool
    read_through: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, checked, in the units that the program uses."""

    database: Path
    symbols: tuple[Symbol, ...]
    """As their companies have them now, whatever symbols they had when they were listed."""
    renames: tuple[Rename, ...]
    next_rename: datetime | None
    """When the next rename comes into force that is configured in advance, and the symbols have to be loaded again."""
    base_url: str
    plans: tuple[KeyPlan, ...]
    """Of each API key, whether this machine holds it or not."""
    fleet: Fleet | None
    concurrency: int | None
    """How many requests at once; None: as many as the limits of the keys allow that this machine holds."""
    proxy: Proxy | None
    time_url: str | None
    """A URL of a host that is asked for the time where the API's does not say it."""
    timeout: timedelta
    fresh_for: timedelta
    attempts: int
    wait: timedelta
    resume: bool
    """Whether the daemon resumes a run that the quota cut short when the window frees."""
    schedules: tuple[Schedule, ...]
    stale_after: timedelta
    backup_after: timedelta
    listen: Listen | None
    allowed_hosts: frozenset[str]
    """Names by which clients may call the daemon, besides those that only this machine can have."""
    web: WebSettings
    outcomes_kept: timedelta
    config: Path | None
    """The configuration file, or None where there is none."""
    symbol_files: tuple[Path, ...]
    """The files with lists of symbols."""
    values: tuple[Setting, ...] = field(repr=False)
    notices: tuple[str, ...] = field(repr=False)
    """What was ignored: duplicate symbols, lines of a listing."""

    @property
    def config_or_default(self) -> Path:
        """Return the configuration file, or where it would be found if there were one."""
        return self.config or DEFAULT_CONFIG

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return the limits of all keys, each once."""
        return all_limits(self.plans)

    @property
    def all_symbols(self) -> tuple[Symbol, ...]:
        """Return those of [symbols], then those that only a schedule names."""
        of_schedules = (schedule.symbols or () for schedule in self.schedules)
        return tuple(dict.fromkeys(chain(self.symbols, *of_schedules)))

    @property
    def listed(self) -> SymbolList:
        """Return all symbols, and which file lists them.

        Links in its path are kept: a mounted configuration is often a link to a folder that each update renames.
        """
        return SymbolList(self._name, self.all_symbols)

    @property
    def configured_renames(self) -> ConfiguredRenames:
        """Return the renames, and which file has them."""
        return ConfiguredRenames(self._name, self.renames)

    @property
    def _name(self) -> str:
        return "" if self.config is None else path_text(self.config)


def load(
    config: Path | None,
    environment: Environment,
    *,
    database: Path | None = None,
    now: Callable[[], datetime] = instants.utc_now,
) -> Settings:
    """Return the settings of the file and the environment. Raise SettingsError at the first that cannot be used.

    `config` is the file named on the command line. Without it PIPELINE_CONFIG names the file, or else it is
    `config/pipeline.toml`, which alone may be missing: then everything has its default, and the database is in the
    user's data folder. `database` overrides what is configured.
    """
    redact = redaction(environment)
    try:
        path = named_config(config, environment) or (None if is_absent(DEFAULT_CONFIG) else DEFAULT_CONFIG)
        read = read_layers(path, environment, database=database)
        settings = _check(read, read_fleet(read, environment), now=now())
    except SettingsError as error:
        raise error.redacted(redact) from None
    refuse_key_names([*(plan.name for plan in settings.plans), settings.fleet.name if settings.fleet else ""], redact)
    refuse_keys((*settings.all_symbols, *(symbol for one in settings.renames for symbol in (one.old, one.new))), redact)
    return replace(settings, notices=tuple(map(redact, settings.notices)))


def named_config(named: Path | None, environment: Environment) -> Path | None:
    """Return the configuration file that the command line (`named`) or else PIPELINE_CONFIG names."""
    variable = environment.variables.get(CONFIG)
    return named or (Path(variable) if variable else None)


def _check(read: Layered, fleet: Fleet | None, *, now: datetime) -> Settings:
    """Return what the configuration means. Raise SettingsError for a value that makes no sense."""
    configured = read.configuration
    source, collect, status, web = configured.source, configured.collect, configured.status, configured.web
    plans = read_plans(read)
    proxy = read.checked(_PROXY, Proxy.parse, source.proxy) if source.proxy else None
    renames = read_renames(configured.symbols.renamed, read.place("symbols.renamed"))
    names = CurrentNames(renames, now)
    listed, notices = _symbols(read, "symbols.list", configured.symbols.listed, "symbols.file", configured.symbols.file)
    symbols, replaced = names.of(listed)
    schedules, more_notices = _schedules(read, names)
    return Settings(
        database=read.checked("database", _file_path, configured.database),
        symbols=symbols,
        renames=renames,
        next_rename=min((one.on for one in renames if one.on is not None and one.on > now), default=None),
        base_url=read.checked("source.base_url", _base_url, source.base_url),
        plans=plans,
        fleet=fleet,
        concurrency=source.concurrency,
        proxy=proxy,
        time_url=read.checked("source.time_url", _time_url, source.time_url) if source.time_url else None,
        timeout=timedelta(seconds=source.timeout_seconds),
        fresh_for=timedelta(hours=collect.fresh_for_hours),
        attempts=collect.attempts,
        wait=timedelta(seconds=collect.wait_seconds),
        resume=collect.resume,
        schedules=schedules,
        stale_after=timedelta(hours=status.stale_after_hours),
        backup_after=timedelta(days=status.backup_after_days),
        listen=None if status.listen is None else read.checked("status.listen", Listen.parse, status.listen),
        allowed_hosts=frozenset(read.checked("status.allowed_hosts", host_name, name) for name in status.allowed_hosts),
        web=WebSettings(
            listen=None if web.listen is None else read.checked("web.listen", Listen.parse, web.listen),
            allowed_hosts=frozenset(read.checked("web.allowed_hosts", host_name, name) for name in web.allowed_hosts),
            allow_anonymous=web.allow_anonymous,
            read_through=web.read_through,
        ),
        outcomes_kept=timedelta(days=configured.keep.outcomes_days),
        config=read.path,
        symbol_files=tuple(_symbol_files(read)),
        values=tuple(_shown(read, proxy, fleet)),
        notices=(*notices, *replaced, *more_notices),
    )


def _shown(read: Layered, proxy: Proxy | None, fleet: Fleet | None) -> Iterator[Setting]:
    """Yield the values as `pipeline config` shows them: a proxy without its password, and only plans in force."""
    has_keys = any(place in read.origins for place in ("keys[1].name", "fleet.keys[1].name"))
    for one in read.values:
        if one.path == _PROXY and proxy is not None:
            yield replace(one, value=str(proxy))
        elif one.path == "fleet.name" and one.value is None and fleet is not None:
            yield Setting(one.path, fleet.name, "default: this machine's name")
        elif not (has_keys and one.path in ("source.plan", "source.limits")):
            yield one


def _base_url(url: str) -> str:
    check_url(
        url,
        forbidden=_NOT_IN_BASE_URLS,
        remedy="use one without user, query or fragment, such as https://www.alphavantage.co/query",
    )
    return url


def _time_url(url: str) -> str:
    check_url(
        url,
        forbidden=_NOT_IN_BASE_URLS,
        remedy="use one without user, query or fragment, such as https://www.example.com",
        over_http="what plain http says of the time can be forged on its way",
    )
    return url


def _file_path(text: str) -> Path:
    """Return the path of a file, with `~` expanded. Raise SettingsError for one that cannot be a file's."""
    shown = quoted(text)
    try:
        path = Path(text).expanduser()
        is_present(path)  # raises for a name that is too long, or a folder that we may not search
        text.encode()
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        why = file_reason(error) if isinstance(error, OSError) else "no such user, or not UTF-8"
        raise SettingsError(f"{shown} cannot be used ({why})") from None
    if "\0" in text or not path.name:
        raise SettingsError(f"{shown} is not the path of a file")
    return path


def _schedules(read: Layered, names: CurrentNames) -> tuple[tuple[Schedule, ...], list[str]]:
    """Return the schedules, no two of which have the same line and zone, and notices about their symbols."""
    schedules, notices = {}, []
    for place, table in places(SCHEDULE, read.configuration.schedule).items():
        schedules[place], of_table = _schedule(read, names, place, table)
        notices += [f"{place}: {notice}" for notice in of_table]
    for (place, one), (other, two) in combinations(schedules.items(), 2):
        if str(one).lower() == str(two).lower():
            raise SettingsError(
                f"{read.path}: {place} and {other} are both {one}", remedy="merge them into one, with all symbols"
            )
    return tuple(schedules.values()), notices


def _schedule(read: Layered, names: CurrentNames, place: str, table: ScheduleTable) -> tuple[Schedule, list[str]]:
    read.checked(f"{place}.cron", check_cron, table.cron)
    read.checked(f"{place}.timezone", check_timezone, table.timezone)
    listed = f"{place}.symbols"
    found, notices = _symbols(read, listed, table.symbols, f"{place}.symbols_file", table.symbols_file)
    symbols, replaced = names.of(found)
    if table.symbols is not None and not symbols:
        raise SettingsError(
            f"{read.place(listed)}: the list is empty",
            remedy="name some symbols, or leave it out to collect all of [symbols]",
        )
    return Schedule(table.cron, table.timezone, timedelta(hours=table.catch_up_hours), symbols or None), [
        *notices,
        *replaced,
    ]


def _symbol_files(read: Layered) -> Iterator[Path]:
    configured = read.configuration
    tables = places(SCHEDULE, configured.schedule).values()
    for named in (configured.symbols.file, *(table.symbols_file for table in tables)):
        if named is not None:
            yield _beside_config(read, named)


def _beside_config(read: Layered, named: str) -> Path:
    """Return the path of a file that the configuration names, from its own folder. Raise SettingsError."""
    folder = read.path.parent if read.path is not None else Path()
    return folder / _file_path(named)


def _symbols(
    read: Layered, listed_at: str, listed: Iterable[str] | None, file_at: str, file: str | None
) -> tuple[tuple[Symbol, ...], list[str]]:
    """Return the symbols of a list and a file, each once, and notices of what was ignored."""
    readings = [read.checked(listed_at, read_symbol, text) for text in listed or ()]
    symbols = [reading.symbol for reading in readings]
    notices = notes_on(readings)
    if file is not None:
        found, of_file = read.checked(file_at, lambda text: read_symbol_file(_beside_config(read, text)), file)
        symbols += found
        notices += of_file
    unique, duplicates = without_duplicates(symbols)
    return unique, notices + duplicates

"""Schema: the tables and keys of the configuration, with their types and defaults.

A key's path is its table and name: `source.plan`. Several tables count from 1: `schedule[1].cron`.
"""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, Struct, field
from msgspec.structs import fields

Text = Annotated[str, Meta(min_length=1)]
LONGEST_HOURS = 24 * 365 * 10
Hours = Annotated[float, Meta(ge=0, le=LONGEST_HOURS)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class SymbolsTable(Table, frozen=True):
    """Which symbols to collect."""

    listed: list[str] = field(name="list", default_factory=list)
    file: Text | None = None
    renamed: dict[str, Any] = field(default_factory=dict)


class SourceTable(Table, frozen=True):
    """Where overviews come from, and how fast."""

    base_url: str = "https://www.alphavantage.co/query"
    plan: str = "free"
    limits: list[str] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=1000)] | None = None
    proxy: str | None = None
    time_url: str | None = None
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0


class CollectTable(Table, frozen=True):
    """What a run does."""

    fresh_for_hours: Hours = 20.0
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    wait_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 120.0
    resume: bool = field(name="continue", default=True)


class ScheduleTable(Table, frozen=True):
    """When the daemon runs, and for which symbols."""

    cron: str = "30 18 * * mon-fri"
    timezone: str = "America/New_York"
    catch_up_hours: Hours = 36.0
    symbols: list[str] | None = None
    symbols_file: Text | None = None


class StatusTable(Table, frozen=True):
    """When data is stale and a backup old, and where and by which names the daemon serves its status."""

    stale_after_hours: Annotated[float, Meta(gt=0, le=LONGEST_HOURS)] = 72.0
    backup_after_days: Annotated[float, Meta(gt=0, le=LONGEST_HOURS / 24)] = 14.0
    listen: str | None = None
    allowed_hosts: list[str] = field(default_factory=list)


class WebTable(Table, frozen=True):
    """Where pages, JSON and the API's own shape are served, and by which names."""

    listen: str | None = None
    allowed_hosts: list[str] = field(default_factory=list)
    allow_anonymous: bool = False
    read_through: bool = False


class KeyTable(Table, frozen=True):
    """One of several API keys, and what its plan allows. The key itself is in the environment."""

    name: str = ""
    plan: str = "free"
    limits: list[str] | None = None


class FleetTable(Table, frozen=True):
    """This machine as a member of a fleet, and the keys that the fleet has."""

    name: Text | None = None
    keys: list[KeyTable] = field(default_factory=list)


class KeepTable(Table, frozen=True):
    """How long history is kept."""

    outcomes_days: Annotated[int, Meta(ge=1, le=36_500)] = 400


class Configuration(Table, frozen=True):
    """The whole configuration, typed but not yet checked for sense."""

    database: Text = "data/overviews.db"
    symbols: SymbolsTable = SymbolsTable()
    source: SourceTable = SourceTable()
    collect: CollectTable = CollectTable()
    schedule: ScheduleTable | list[ScheduleTable] = ScheduleTable()
    status: StatusTable = StatusTable()
    web: WebTable = WebTable()
    keep: KeepTable = KeepTable()
    keys: list[KeyTable] = field(default_factory=list)
    fleet: FleetTable | None = None


SCHEDULE = "schedule"
"""The one table that may be repeated or not: [[schedule]] or [schedule]."""
REPEATED = {"keys": KeyTable, "fleet.keys": KeyTable}
"""Tables that are always repeated: [[keys]]. No variable can name a key of one."""
TABLES: dict[str, type[Table]] = {
    "symbols": SymbolsTable,
    "source": SourceTable,
    "collect": CollectTable,
    SCHEDULE: ScheduleTable,
    "status": StatusTable,
    "web": WebTable,
    "keep": KeepTable,
    "fleet": FleetTable,
    **REPEATED,
}
SECRET_KEYS = frozenset({"source.proxy"})
"""Keys of which no message repeats the value."""
KEYS: dict[str, Any] = {
    "database": Text,
    **{
        f"{name}.{key.encode_name}": key.type
        for name, table in TABLES.items()
        for key in fields(table)
        if f"{name}.{key.encode_name}" not in TABLES
    },
}
"""The type of each key, by its path."""
SETTABLE = [key for key in KEYS if key.rpartition(".")[0] not in REPEATED]
"""The keys that a variable can set."""


def type_of(path: str) -> Any:
    """Return the type of the key at a path, which may be that of one of several tables."""
    return KEYS[re.sub(r"\[[0-9]+\]", "", path)]


_LISTS = {"limits": '["25/day"]', "allowed_hosts": '["nas.lan"]'}
"""Examples of the lists that are not of symbols, by the names of their keys."""


def requirement(path: str) -> str:
    """Return what the value at a path must be, for people: `a whole number from 1 to 10`."""
    kind = type_of(path)
    if get_origin(kind) in (Union, UnionType):
        kind = get_args(kind)[0]  # the other is None, for a key that is not set
    plain, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if plain == dict[str, Any]:
        return 'a table, such as {FB = "META"}'
    if plain == list[str]:
        return "a list of texts, such as " + _LISTS.get(path.rpartition(".")[2], '["AAPL", "KO"]')
    if plain is str:
        return "a text that is not empty" if metas else "a text, in quotes"
    if plain is bool:
        return "true or false"
    noun = "a whole number" if plain is int else "a number"
    (meta,) = metas
    return f"{noun} {f'above {meta.gt:g}, up to' if meta.ge is None else f'from {meta.ge:g} to'} {meta.le:g}"


def places(path: str, value: Any) -> dict[str, Any]:
    """Return the tables at a path by their own: `schedule[1]`, `schedule[2]` where there is a list of them."""
    if (path == SCHEDULE or path in REPEATED) and isinstance(value, list) and (value or path != SCHEDULE):
        return {f"{path}[{number}]": table for number, table in enumerate(value, start=1)}
    return {path: value}


def leaves(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each key of a document of known keys: its path, the table that holds it, and its name there."""
    for name, value in document.items():
        if name in TABLES:
            yield from _leaves(name, value)
        else:
            yield name, document, name


def _leaves(path: str, value: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    for place, table in places(path, value).items():
        for key, inner in (table or {}).items():
            if f"{path}.{key}" in TABLES:
                yield from _leaves(f"{path}.{key}", inner)
            else:
                yield f"{place}.{key}", table, key

"""Renames: reads `[symbols.renamed]`, and puts the symbol that a company has in place of one that it had."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.renames import Rename, find_cycle, spans
from pipeline.model.symbol_spellings import read_symbol
from pipeline.model.symbols import Symbol
from pipeline.settings.errors import SettingsError, quoted, shown
from pipeline.text import few, without_middle

_EXAMPLE = 'write FB = "META", or FB = {to = "META", on = 2022-06-09}'
_LONGEST_CYCLE = 120
"""Characters of its symbols."""
_KEYS = ("to", "on", "reused")


def read_renames(table: Mapping[str, Any], place: str) -> tuple[Rename, ...]:
    """Return the renames of a table, by their old symbols. Raise SettingsError, with their place, for invalid ones."""
    renames: dict[Symbol, Rename] = {}
    for key, value in table.items():
        try:
            one = _rename(key, value)
        except SettingsError as error:
            raise error.at(f"{place}.{shown(key)}") from None
        except ValueError as error:
            raise SettingsError(f"{place}.{shown(key)}: {error}") from None
        if one.old in renames:
            raise SettingsError(f"{place}.{shown(key)}: {one.old} is renamed twice", remedy="keep one of them")
        renames[one.old] = one
    cycle = find_cycle(renames.values())
    if cycle is not None:
        named = without_middle(" -> ".join(cycle), _LONGEST_CYCLE)
        raise SettingsError(f"{place}: {named} is a cycle", remedy="remove the rename of the newest symbol")
    return tuple(renames.values())


def _rename(key: str, value: Any) -> Rename:
    old = read_symbol(key).symbol
    if isinstance(value, str):
        return Rename(old, read_symbol(value).symbol)
    if not isinstance(value, Mapping) or not isinstance(value.get("to"), str):
        raise SettingsError(
            f"must be a symbol, or a table that has one as `to` (it is {quoted(value)})", remedy=_EXAMPLE
        )
    for name in value:
        if name not in _KEYS:
            raise SettingsError(f"unknown key {quoted(name)} (expected: {', '.join(_KEYS)})", remedy=_EXAMPLE)
    reused = value.get("reused", False)
    if not isinstance(reused, bool):
        raise SettingsError(f"reused must be true or false (it is {quoted(reused)})")
    on = _instant(value["on"]) if "on" in value else None
    if reused and on is None:
        raise SettingsError("reused needs `on`, the day of the rename", remedy=_EXAMPLE)
    return Rename(old, read_symbol(value["to"]).symbol, on, reused)


def _instant(value: Any) -> datetime:
    """Return the beginning of a day in UTC, or an instant, which without an offset is in UTC. Raise SettingsError."""
    text = value.isoformat() if isinstance(value, date) else value
    try:
        instant = instants.parse_received(text)
    except (ValueError, TypeError):
        raise SettingsError(f"on must be a day or an instant (it is {quoted(value)})", remedy=_EXAMPLE) from None
    return instants.of_day(instant.date(), ends=False) if len(text) == len("2022-06-09") else instant


class CurrentNames:
    """The symbols that companies have now."""

    def __init__(self, renames: Iterable[Rename], now: datetime) -> None:
        self._companies = Companies(spans(renames))
        self._now = instants.to_text(now)

    def of(self, symbols: Iterable[Symbol]) -> tuple[tuple[Symbol, ...], list[str]]:
        """Return the symbols as their companies have them now, each once, and a notice of those that were replaced."""
        companies = self._companies
        found = {one: Symbol(companies.symbol_at(companies.named(one), self._now)) for one in symbols}
        replaced = [f"{new} for {old}" for old, new in found.items() if new != old]
        notices = [f"renamed, and requested by the symbol of today: {few(replaced, 4)}"] if replaced else []
        return tuple(dict.fromkeys(found.values())), notices

"""Renames: which symbols are one company, and when. Pure arithmetic on the configured renames.

A rename with an instant divides the time of both symbols there: until then the company has the old one, and from then
on the new one. The rest of the two symbols' time belongs to other companies. A rename without an instant gives the
company both symbols for all time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pipeline import instants
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.text import quoted

EARLIEST = "0001-01-01T00:00:00.000Z"
"""Where time begins: a company has its first known symbol from here on."""
QUALIFIED = "@"
"""In no symbol: `FB@2022-06-09` is the company that had FB then."""
_MIDNIGHT = "T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Rename:
    """A company's change of symbol."""

    old: Symbol
    new: Symbol
    on: datetime | None = None
    """The company has the new symbol from this instant on; None: it has both symbols at any time."""
    reused: bool = False
    """Whether another company has the old symbol since then, so that questions and lists mean that one by it."""


class ConfiguredRenames(NamedTuple):
    """The renames of a configuration, which is named as in a `SymbolList`."""

    configuration: str
    renames: tuple[Rename, ...]


class Span(NamedTuple):
    """A symbol that a company had from `since` to before `until`, as text. What was observed of it then is its own."""

    symbol: str
    company: str
    """The company's newest symbol; `FB@2022-06-09`, with an instant, where the symbol alone means another company."""
    since: str
    until: str

    @property
    def last(self) -> str:
        """Its last instant, as text."""
        return self.until if self.until == instants.LATEST else before(self.until)


def whole(symbol: str) -> Span:
    """Return the span of a company that always had one symbol."""
    return Span(symbol, symbol, EARLIEST, instants.LATEST)


def find_cycle(renames: Iterable[Rename]) -> tuple[Symbol, ...] | None:
    """Return the symbols of a cycle, each renamed to the next, with the first again at the end; None without one."""
    new = {one.old: one.new for one in renames}
    done: set[Symbol] = set()
    for first in new:
        path: dict[Symbol, None] = {}
        symbol: Symbol | None = first
        while symbol is not None and symbol not in done:
            if symbol in path:
                places = list(path)
                return (*places[places.index(symbol) :], symbol)
            path[symbol] = None
            symbol = new.get(symbol)
        done.update(path)
    return None


def spans(renames: Iterable[Rename]) -> tuple[Span, ...]:
    """Return which company each symbol of the renames belongs to at any time, by symbol and time.

    The renames have one of each old symbol, and no cycle. Every other symbol is a company of its own.
    """
    timeline = _Timeline(renames)
    return tuple(Span(one.symbol, timeline.company(one), one.since, one.until) for one in timeline.periods())


class _Period(NamedTuple):
    """A time in which one company had a symbol."""

    symbol: Symbol
    since: str
    until: str
    is_unnamed: bool
    """Whether the renames only say that it was none of theirs: the symbol alone may mean a company of a rename."""


class _Timeline:
    """The periods of each symbol of some renames."""

    def __init__(self, renames: Iterable[Rename]) -> None:
        self._rename_of = {one.old: one for one in renames}
        self._renames_to: dict[Symbol, list[Rename]] = {}
        for one in self._rename_of.values():
            self._renames_to.setdefault(one.new, []).append(one)
        symbols = sorted({*self._rename_of, *self._renames_to})
        self._periods: Mapping[Symbol, list[_Period]] = {symbol: list(self._periods_of(symbol)) for symbol in symbols}

    def periods(self) -> Iterator[_Period]:
        """Yield all periods, by symbol and time."""
        for of_symbol in self._periods.values():
            yield from of_symbol

    def company(self, period: _Period) -> str:
        """Return the name of the company that had the symbol in a period."""
        while (rename := self._ending(period)) is not None:
            begins = _new_begins(rename)
            period = next(one for one in self._periods[rename.new] if one.since <= begins < one.until)
        return _qualified(period) if period.is_unnamed and not self._is_reused(period) else period.symbol

    def _periods_of(self, symbol: Symbol) -> Iterator[_Period]:
        """Yield the periods of a symbol, the oldest first. They fill all time.

        If a company is renamed to a symbol while another renamed company has it, the two are one company from then on.
        If one company gives a symbol up at the instant at which another gets it, it gives it up first.
        """
        rename = self._rename_of.get(symbol)
        given_up = [] if rename is None else [(_old_ends(rename), False)]
        since, is_owned = EARLIEST, False
        for at, begins in sorted([*given_up, *((_new_begins(one), True) for one in self._renames_to.get(symbol, ()))]):
            if begins and is_owned:
                continue
            if since < at:
                yield _Period(symbol, since, at, is_unnamed=begins)
            since, is_owned = at, begins
        if since < instants.LATEST:
            yield _Period(symbol, since, instants.LATEST, is_unnamed=not is_owned)

    def _ending(self, period: _Period) -> Rename | None:
        """Return the rename with which a period ends, if it ends with one."""
        rename = self._rename_of.get(period.symbol)
        return rename if rename is not None and _old_ends(rename) == period.until else None

    def _is_reused(self, period: _Period) -> bool:
        rename = self._rename_of.get(period.symbol)
        return rename is not None and rename.reused and period.until == instants.LATEST


def config_line(rename: Rename) -> str:
    """Return the line of `[symbols.renamed]` for a rename: `FB = "META"`."""
    key = rename.old if _BARE_KEY.fullmatch(rename.old) else f'"{rename.old}"'
    if rename.on is None:
        return f'{key} = "{rename.new}"'
    at = instants.to_text(rename.on).removesuffix(_MIDNIGHT)
    return f'{key} = {{to = "{rename.new}", on = {at}{", reused = true" if rename.reused else ""}}}'


def wrong_answer(requested: Symbol, answered: Symbol) -> str:
    """Return the detail of an outcome: the symbol was answered with another's overview, so it may have been renamed."""
    line = config_line(Rename(requested, answered))
    return f"{_ANOTHER}{quoted(answered)}; if {requested} was renamed, add {line} under [symbols.renamed]"


def possible_rename(requested: Symbol, detail: str) -> Rename | None:
    """Return the rename that a detail from `wrong_answer` suggests; None for any other detail."""
    answered = detail.removeprefix(_ANOTHER).partition(";")[0].strip("'")
    if not detail.startswith(_ANOTHER):
        return None
    try:
        return Rename(requested, parse_symbol(answered))
    except ValueError:
        return None


_BARE_KEY = re.compile(r"[A-Z0-9-]+")
"""Symbols that TOML takes as a key without quotes."""
_ANOTHER = "overview of another symbol: "


def _old_ends(rename: Rename) -> str:
    """Return until when the company has the old symbol."""
    return instants.LATEST if rename.on is None else instants.to_text(rename.on)


def _new_begins(rename: Rename) -> str:
    """Return since when the company has the new symbol."""
    return EARLIEST if rename.on is None else instants.to_text(rename.on)


def _qualified(period: _Period) -> str:
    """Return a name for the company of a period: the symbol, and an instant at which it had it.

    A day stands for its end, as in questions.
    """
    if period.since != EARLIEST:
        return f"{period.symbol}{QUALIFIED}{period.since.removesuffix(_MIDNIGHT)}"
    last = before(period.until)
    return f"{period.symbol}{QUALIFIED}{last.removesuffix(_DAY_END)}"


_DAY_END = "T23:59:59.999Z"


def before(instant: str) -> str:
    """Return the last instant before another, as text."""
    return instants.to_text(instants.from_text(instant) - instants.MILLISECOND)

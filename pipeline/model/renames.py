"""Renames: which symbols are one company, and when. Pure arithmetic on the configured renames.

A rename at an instant cuts the time of both symbols there: before it the old one is the company's, from then on the new
one. What is cut off is another company's. A rename without an instant takes both symbols whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pipeline import instants
from pipeline.model.symbols import Symbol, parse_symbol

EARLIEST = "0001-01-01T00:00:00.000Z"
"""Since when a company has the first symbol that is known of it."""
QUALIFIED = "@"
"""In no symbol: `FB@2022-06-09` is the company that had FB then."""
_MIDNIGHT = "T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Rename:
    """A company's change of symbol."""

    old: Symbol
    new: Symbol
    on: datetime | None = None
    """From this instant on the new symbol is the company's; None: both are, at any time."""
    reused: bool = False
    """Whether the old symbol is another company's since then, and means that one in questions and in lists."""


class ConfiguredRenames(NamedTuple):
    """The renames of a configuration, and which one it is: as of a `SymbolList`."""

    configuration: str
    renames: tuple[Rename, ...]


class Span(NamedTuple):
    """A symbol that a company had from `since` to before `until`, as text: what is observed of it then is its."""

    symbol: str
    company: str
    """The company's newest symbol; with an instant, `FB@2022-06-09`, where the symbol alone means another company."""
    since: str
    until: str

    @property
    def last(self) -> str:
        """The last instant of it, as text."""
        return self.until if self.until == instants.LATEST else before(self.until)


def whole(symbol: str) -> Span:
    """Return the span of a company that always had one symbol."""
    return Span(symbol, symbol, EARLIEST, instants.LATEST)


def find_cycle(renames: Iterable[Rename]) -> tuple[Symbol, ...] | None:
    """Return symbols of which each was renamed to the next, and the last is the first; None if there are none."""
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
    """Return to which company each symbol of the renames belongs at any time, by symbol and time.

    The renames have one of each old symbol, and no cycle. All other symbols are companies of their own.
    """
    known = _Renames(renames)
    return tuple(Span(one.symbol, known.company(one), one.since, one.until) for one in known.holdings())


class _Holding(NamedTuple):
    """The time for which one company had a symbol."""

    symbol: Symbol
    since: str
    until: str
    is_cut_off: bool
    """Whether a rename says only that the symbol was another company's."""


class _Renames:
    """Renames, by the symbols that they end and begin."""

    def __init__(self, renames: Iterable[Rename]) -> None:
        self._leaving = {one.old: one for one in renames}
        self._taking: dict[Symbol, list[Rename]] = {}
        for one in self._leaving.values():
            self._taking.setdefault(one.new, []).append(one)
        symbols = sorted({*self._leaving, *self._taking})
        self._holdings: Mapping[Symbol, list[_Holding]] = {symbol: list(self._held(symbol)) for symbol in symbols}

    def holdings(self) -> Iterator[_Holding]:
        """Yield them by symbol and time."""
        for of_symbol in self._holdings.values():
            yield from of_symbol

    def company(self, holding: _Holding) -> str:
        """Return the name of the company that had the symbol then."""
        while (leaving := self._left_by(holding)) is not None:
            taken_at = _taken_at(leaving)
            holding = next(one for one in self._holdings[leaving.new] if one.since <= taken_at < one.until)
        return _qualified(holding) if holding.is_cut_off and not self._is_reused(holding) else holding.symbol

    def _held(self, symbol: Symbol) -> Iterator[_Holding]:
        """Yield who had a symbol, the oldest first.

        One that takes a symbol which is had already joins the company that has it. At one instant, one leaves before
        another takes it.
        """
        leaving = self._leaving.get(symbol)
        left = [] if leaving is None else [(_left_at(leaving), False)]
        since, is_had = EARLIEST, False
        for at, is_taken in sorted([*left, *((_taken_at(one), True) for one in self._taking.get(symbol, ()))]):
            if is_taken and is_had:
                continue
            if since < at:
                yield _Holding(symbol, since, at, is_cut_off=is_taken)
            since, is_had = at, is_taken
        if since < instants.LATEST:
            yield _Holding(symbol, since, instants.LATEST, is_cut_off=not is_had)

    def _left_by(self, holding: _Holding) -> Rename | None:
        """Return the rename that ends a holding."""
        leaving = self._leaving.get(holding.symbol)
        return leaving if leaving is not None and _left_at(leaving) == holding.until else None

    def _is_reused(self, holding: _Holding) -> bool:
        leaving = self._leaving.get(holding.symbol)
        return leaving is not None and leaving.reused and holding.until == instants.LATEST


def config_line(rename: Rename) -> str:
    """Return the line of `[symbols.renamed]` that says so: `FB = "META"`."""
    key = rename.old if _BARE_KEY.fullmatch(rename.old) else f'"{rename.old}"'
    if rename.on is None:
        return f'{key} = "{rename.new}"'
    at = instants.to_text(rename.on).removesuffix(_MIDNIGHT)
    return f'{key} = {{to = "{rename.new}", on = {at}{", reused = true" if rename.reused else ""}}}'


def wrong_answer(requested: Symbol, answered: Symbol) -> str:
    """Return the detail of the outcome of a symbol that was answered with another's overview: it may be a rename."""
    line = config_line(Rename(requested, answered))
    return f"{_ANOTHER}{answered!r}; if {requested} was renamed, add {line} under [symbols.renamed]"


def possible_rename(requested: Symbol, detail: str) -> Rename | None:
    """Return the rename that a detail of `wrong_answer` is about; None for any other detail."""
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


def _left_at(rename: Rename) -> str:
    return instants.LATEST if rename.on is None else instants.to_text(rename.on)


def _taken_at(rename: Rename) -> str:
    return EARLIEST if rename.on is None else instants.to_text(rename.on)


def _qualified(holding: _Holding) -> str:
    """Return a name for a company whose symbol alone means another one: the symbol, and an instant when it had it.

    A day stands for its end, as in questions.
    """
    if holding.since != EARLIEST:
        return f"{holding.symbol}{QUALIFIED}{holding.since.removesuffix(_MIDNIGHT)}"
    last = before(holding.until)
    return f"{holding.symbol}{QUALIFIED}{last.removesuffix(_DAY_END)}"


_DAY_END = "T23:59:59.999Z"


def before(instant: str) -> str:
    """Return the last instant before another, as text."""
    return instants.to_text(instants.from_text(instant) - instants.MILLISECOND)

"""The page that compares two instants: all fields of one company, or some fields of several."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from pipeline import instants
from pipeline.model.changes import relative_change
from pipeline.model.fields import CATALOGUE, COLUMNS, SYMBOL_FIELD, Field, Part
from pipeline.model.values import Value
from pipeline.pages.asked import fields_of
from pipeline.pages.moments import day_text, is_days_end, minute_text
from pipeline.pages.rendering import show
from pipeline.query.history import History
from pipeline.query.results import Snapshot
from pipeline.text import cut
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

PATH = "/compare"
_USUAL_FIELDS = tuple(
    COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "eps", "profit_margin", "latest_quarter")
)
"""Of several companies."""
_BACK = timedelta(days=30)
_MOST_COMPANIES = 50
_LONGEST = 160
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A field's value at the two instants."""

    field: Field
    before: Value | date
    after: Value | date
    is_changed: bool
    change: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A company at two instants."""

    symbol: str
    name: str
    before: Snapshot | None
    """None: nothing was known then."""
    after: Snapshot | None
    pairs: tuple[Pair, ...]

    @property
    def parts(self) -> tuple[tuple[Part, tuple[Pair, ...]], ...]:
        """The pairs by part, what follows the price first."""
        of = {part: tuple(pair for pair in self.pairs if pair.field.part is part) for part in reversed(Part)}
        return tuple((part, pairs) for part, pairs in of.items() if pairs)

    @property
    def changed(self) -> int:
        """How many fields changed."""
        return sum(pair.is_changed for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class CompareView:
    """The page of a comparison."""

    companies: tuple[Compared, ...]
    fields: tuple[Field, ...]
    a: datetime
    b: datetime
    given: Mapping[str, str]
    """The parameters, for the form."""

    @property
    def a_text(self) -> str:
        """The first instant in words."""
        return _text(self.a)

    @property
    def b_text(self) -> str:
        """The second instant in words."""
        return _text(self.b)

    def is_day(self, name: str) -> bool:
        """Whether a parameter is a day, and not another instant."""
        return _DAY.fullmatch(self.given[name]) is not None


def _text(at: datetime) -> str:
    return f"End of {day_text(at.date())}" if is_days_end(at) else minute_text(at)


async def compare(ask: Ask) -> web.Response:
    """Answer with companies at two instants side by side. Without instants: the end of the day 30 days ago, and now."""
    symbols = ask.all("symbol")
    if len(symbols) > _MOST_COMPANIES:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"compare up to {_MOST_COMPANIES} companies: these are {len(symbols)}")
    b = ask.instant("b", day_ends=True) or ask.at
    a = ask.instant("a", day_ends=True) or _earlier(b)
    fields = fields_of(ask, CATALOGUE if len(symbols) < 2 else _USUAL_FIELDS)
    given = {"symbol": ", ".join(symbols), "field": ", ".join(ask.all("field"))}
    given |= {name: ask.first(name) or at.date().isoformat() for name, at in (("a", a), ("b", b))}

    def question(history: History) -> CompareView:
        names = history.check_symbols(symbols) if symbols else []
        read = [*fields, COLUMNS["name"]]
        before, after = ({one.symbol: one for one in history.as_of(at, names, read)} if names else {} for at in (a, b))
        companies = tuple(_compared(name, before.get(name), after.get(name), fields) for name in names)
        return CompareView(companies, fields, a, b, given)

    return await show(ask, "compare.html", question)


def _earlier(at: datetime) -> datetime:
    """Return the end of a day, as the form has it."""
    try:
        return instants.of_day((at - _BACK).date(), ends=True)
    except OverflowError:
        return at


def _compared(symbol: str, before: Snapshot | None, after: Snapshot | None, fields: Sequence[Field]) -> Compared:
    named = after or before
    name = "" if named is None else str(named["name"] or "")
    pairs = tuple(_pair(field, before, after) for field in fields if field is not SYMBOL_FIELD)
    return Compared(symbol, name, before, after, pairs)


def _pair(field: Field, before: Snapshot | None, after: Snapshot | None) -> Pair:
    old = None if before is None else before.values[field.column]
    new = None if after is None else after.values[field.column]
    return Pair(field, _short(old), _short(new), old != new, relative_change(old, new))


def _short(value: Value | date) -> Value | date:
    return cut(value, _LONGEST) if isinstance(value, str) else value

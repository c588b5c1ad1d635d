"""The page of all companies: a table that is searched, filtered, sorted and paged on the server."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from pipeline.instants import from_text
from pipeline.model.fields import CATALOGUE, COLUMNS, SYMBOL_FIELD, Field, Part, find_fields
from pipeline.model.labels import label
from pipeline.pages.absence import Absence, absence_of
from pipeline.pages.numbers import is_numeric
from pipeline.pages.rendering import show
from pipeline.pages.standing import stale_among
from pipeline.query.history import History
from pipeline.query.listing import Key, Order, Row, counts, matches, page_of
from pipeline.text import quoted
from pipeline.web import readings
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

PATH = "/companies"
DEFAULT_COLUMNS = tuple(
    COLUMNS[column]
    for column in ("sector", "market_capitalization", "pe_ratio", "eps", "dividend_yield", "profit_margin",
                   "latest_quarter")
)  # fmt: skip
_NAME = COLUMNS["name"]
_FILTERED = tuple(COLUMNS[column] for column in ("sector", "industry", "exchange"))
_ALWAYS = (_NAME, *_FILTERED)
"""Read for every company: shown beside its symbol, searched, or filtered by."""
_SYMBOL, _OBSERVED_AT, _SEEN_AT, _, *_OTHERS = range(4 + len(_ALWAYS))
_PLACES = {"symbol": _SYMBOL, "observed_at": _OBSERVED_AT, "confirmed_at": _SEEN_AT}
"""Where a row has what is not a field. (Not the staleness: it grows from one page to the next.)"""
_LABELS = {"symbol": "Symbol", "observed_at": "Values since", "confirmed_at": "Last seen"}
_DEFAULT_SORT = "-market_capitalization"


Former = Mapping[str, Sequence[str]]
"""The symbols that companies had before, by their newest."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which companies, columns and order a request asks for. All of it is in the address."""

    text: str
    filters: Mapping[str, str]
    """By column, the value that companies must have."""
    fields: tuple[Field, ...]
    sort: str
    is_descending: bool
    after: Key | None = None
    before: Key | None = None

    @classmethod
    def of(cls, ask: Ask) -> "Choice":
        """Return what a request asks for. Raise FieldNotFound or Refusal for a column or a sort that do not exist."""
        fields = find_fields(ask.all("columns"), DEFAULT_COLUMNS)
        text = ask.first("sort") or _DEFAULT_SORT
        name = text.removeprefix("-")
        if name not in _PLACES:
            name = find_fields([name], ())[0].column if name != SYMBOL_FIELD.name else "symbol"
        filters = {one.column: value for one in _FILTERED if (value := ask.first(one.column)) is not None}
        return cls(
            (ask.first("q") or "").strip(),
            filters,
            fields,
            name,
            text.startswith("-"),
            _key(ask, "after", name),
            _key(ask, "before", name),
        )

    @property
    def sort_text(self) -> str:
        """The order as the address has it."""
        return f"-{self.sort}" if self.is_descending else self.sort

    @property
    def read(self) -> tuple[Field, ...]:
        """The fields to read for it."""
        sorted_by = () if self.sort in _PLACES else (COLUMNS[self.sort],)
        return tuple(dict.fromkeys((*_ALWAYS, *self.fields, *sorted_by)))

    def place(self, name: str) -> int:
        """Return where a row has a column."""
        if name in _PLACES:
            return _PLACES[name]
        return _OTHERS[0] + [field.column for field in self.read].index(name)

    @property
    def order(self) -> Order:
        """The order of the rows."""
        return Order(self.place(self.sort), self.is_descending)

    def address(self) -> str:
        """Return the path and parameters that ask for it."""
        pairs = [("q", self.text)] if self.text else []
        pairs += self.filters.items()
        if self.fields != DEFAULT_COLUMNS:
            pairs += [("columns", ",".join(field.column for field in self.fields))]
        if self.sort_text != _DEFAULT_SORT:
            pairs += [("sort", self.sort_text)]
        for name, key in (("after", self.after), ("before", self.before)):
            if key is not None:
                pairs += [(name, key.symbol)]
                pairs += [(f"{name}_value", str(key.value))] if key.value is not None else []
        return f"{PATH}?{urlencode(pairs, safe=',:')}" if pairs else PATH

    def sorted_by(self, name: str) -> "Choice":
        """Return the choice sorted by a column: the largest numbers and the first texts first; once more, reversed."""
        is_descending = not self.is_descending if name == self.sort else name in COLUMNS and is_numeric(COLUMNS[name])
        return replace(self, sort=name, is_descending=is_descending, after=None, before=None)

    def without(self, *names: str) -> "Choice":
        """Return the choice without the search (`q`) or some filters."""
        filters = {name: value for name, value in self.filters.items() if name not in names}
        return replace(self, text="" if "q" in names else self.text, filters=filters, after=None, before=None)

    def searched(self, rows: Sequence[Row], former: Former) -> Sequence[Row]:
        """Return the rows that the search finds, by symbols new and old and by name."""
        if not self.text:
            return rows
        text, place = self.text.casefold(), self.place(_NAME.column)
        return [
            row
            for row in rows
            if text in row[_SYMBOL].casefold()
            or (row[place] is not None and text in row[place].casefold())
            or (former and matches(text, *former.get(row[_SYMBOL], ())))
        ]

    def filtered(self, rows: Sequence[Row], *, but: str | None = None) -> Sequence[Row]:
        """Return the rows that pass the filters, but for the one of a column."""
        for name, value in self.filters.items():
            if name != but:
                place = self.place(name)
                rows = [row for row in rows if row[place] == value]
        return rows


def _key(ask: Ask, name: str, sort: str) -> Key | None:
    """Return the company in a parameter. Raise Refusal if its value does not suit the order."""
    symbol = ask.first(name)
    if symbol is None:
        return None
    text = ask.first(f"{name}_value")
    try:
        return Key(symbol, None if text is None else _parsed(text, sort))
    except ValueError:
        problem = f"invalid {name}_value {quoted(text)}: {sort} is a number"
        raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy="use the links to the pages") from None


def _parsed(text: str, sort: str) -> Any:
    if sort not in COLUMNS or not is_numeric(COLUMNS[sort]):
        return text
    return int(text) if text.lstrip("-").isdecimal() else float(text)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column."""

    name: str
    label: str
    description: str
    is_numeric: bool
    address: str
    """Sorts by it; once more, the other way round."""
    sorted: str | None
    """What `aria-sort` says."""


@dataclass(frozen=True, slots=True)
class Company:
    """A row of the table."""

    symbol: str
    former: Sequence[str]
    """The symbols that it had before."""
    name: str | None
    values: Sequence[Any]
    observed_at: datetime
    seen_at: datetime
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """A list to choose a value from, each with the number of companies that have it and pass all else."""

    field: Field
    chosen: str | None
    values: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows."""

    choice: Choice
    at: datetime
    stale_after: timedelta
    absent: Absence | None
    """Why there is no company of the symbol that was searched for, where none matches."""
    heads: Sequence[Head]
    companies: Sequence[Company]
    matching: int
    all: int
    filters: Sequence[Filter]
    previous: str | None
    """The address of the page before."""
    next: str | None

    @property
    def is_narrowed(self) -> bool:
        """Whether some companies are left out."""
        return bool(self.choice.text or self.choice.filters)

    @property
    def is_first(self) -> bool:
        """Whether this is the first page."""
        return self.choice.after is None and self.choice.before is None

    @property
    def parts(self) -> Sequence[tuple[str, Sequence[Field]]]:
        """All fields to choose columns from, by part."""
        return [(part.value, [one for one in CATALOGUE if one.part is part and one not in _NEVER]) for part in Part]

    @property
    def sorts(self) -> Sequence[tuple[str, str]]:
        """The orders to choose from: as the address has it, and in words."""
        names = dict.fromkeys(["symbol", "name", *(one.column for one in self.choice.fields), self.choice.sort])
        return [one for name in (*names, "observed_at", "confirmed_at") for one in _orders(name)]


_NEVER = (SYMBOL_FIELD, _NAME)
"""Fields that are no columns to choose: each row begins with them."""


def _orders(name: str) -> Iterable[tuple[str, str]]:
    if name in ("observed_at", "confirmed_at"):
        return (f"-{name}", f"{_LABELS[name]}: newest first"), (name, f"{_LABELS[name]}: oldest first")
    text = _LABELS.get(name) or label(COLUMNS[name])
    if name in COLUMNS and is_numeric(COLUMNS[name]):
        return (f"-{name}", f"{text}: highest first"), (name, f"{text}: lowest first")
    return (name, f"{text}: A to Z"), (f"-{name}", f"{text}: Z to A")


async def companies(ask: Ask) -> web.Response:
    """Answer with the table."""
    choice = Choice.of(ask)
    return await show(ask, "companies.html", lambda history: listing(ask, history, choice))


def listing(ask: Ask, history: History, choice: Choice) -> Listing:
    """Return what the page shows of the companies known at an instant."""
    read = choice.read
    rows = readings.companies(ask, history, read)
    former = history.former_symbols()
    searched = choice.searched(rows, former)
    passing = choice.filtered(searched)
    order = choice.order
    page = page_of(order.sorted(passing), order, after=choice.after, before=choice.before)
    places = [choice.place(field.column) for field in choice.fields]
    stale = stale_among(ask, history, {row[_SYMBOL]: from_text(row[_SEEN_AT]) for row in page.rows})
    return Listing(
        choice=choice,
        at=ask.at,
        heads=_heads(choice),
        stale_after=ask.site.stale_after(),
        absent=absence_of(ask, history, choice.text) if choice.text and not passing else None,
        companies=[_company(row, places, former, stale) for row in page.rows],
        matching=len(passing),
        all=len(rows),
        filters=[_filter(field, choice, searched, passing) for field in _FILTERED],
        previous=_turn(choice, before=page.before),
        next=_turn(choice, after=page.after),
    )


def _company(row: Row, places: Sequence[int], former: Former, stale: Container[str]) -> Company:
    symbol, observed_at, seen_at = row[_SYMBOL], from_text(row[_OBSERVED_AT]), from_text(row[_SEEN_AT])
    values = [row[place] for place in places]
    return Company(symbol, former.get(symbol, ()), row[_OTHERS[0]], values, observed_at, seen_at, symbol in stale)


def _filter(field: Field, choice: Choice, searched: Sequence[Row], passing: Sequence[Row]) -> Filter:
    chosen = choice.filters.get(field.column)
    among = passing if chosen is None else choice.filtered(searched, but=field.column)
    place = choice.place(field.column)
    found = counts(row[place] for row in among)
    if chosen is not None and chosen not in dict(found):
        found = [(chosen, 0), *found]
    return Filter(field, chosen, found)


def _turn(choice: Choice, *, after: Key | None = None, before: Key | None = None) -> str | None:
    return None if after is before is None else replace(choice, after=after, before=before).address()


def _heads(choice: Choice) -> list[Head]:
    return [
        _head(choice, "symbol", "Symbol", "Ticker and name"),
        *(_head(choice, one.column, label(one), one.description, numeric=is_numeric(one)) for one in choice.fields),
        _head(choice, "observed_at", "Values since", "When these values were first seen"),
        _head(choice, "confirmed_at", "Last seen", "When the company was last observed, with these values"),
    ]


def _head(choice: Choice, name: str, text: str, description: str, *, numeric: bool = False) -> Head:
    direction = None
    if name == choice.sort:
        direction = "descending" if choice.is_descending else "ascending"
    return Head(name, text, description, numeric, choice.sorted_by(name).address(), direction)

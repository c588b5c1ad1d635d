"""`/api/v1/companies`: which companies are known, found by name and sector, sorted by any field; and one of them."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from pipeline.instants import to_text
from pipeline.json_text import spaced_json
from pipeline.model.fields import COLUMNS, Field, find_field, find_fields
from pipeline.query.history import History
from pipeline.query.listing import Key, Order, matches, page_of
from pipeline.query.results import Answer, Column, Row
from pipeline.query.snapshots import DEFAULT_FIELDS
from pipeline.rest.asked import Asked, staleness
from pipeline.rest.endpoints import Recorded, Single
from pipeline.rest.parameters import Fields, Hours, InUniverse, Paged, SymbolText, Text, Unpaged
from pipeline.rest.positions import Position, invalid
from pipeline.rest.rows import ConfirmedAt, Instant, ObservedAt, ObservedSymbol, Symbol, with_fields
from pipeline.rest.tables import Table
from pipeline.web import readings
from pipeline.web.refusals import Refusal

_FILTERED = tuple(COLUMNS[column] for column in ("sector", "industry", "exchange"))
_ALWAYS = (COLUMNS["name"], *_FILTERED)
_NOT_FIELDS = ("symbol", "observed_at", "confirmed_at")
"""Columns of an as-of answer that a listing can be sorted by, too. (Not the staleness: it grows from page to page.)"""


class CompaniesOf(Paged, frozen=True, kw_only=True):
    """What `/companies` takes."""

    q: Annotated[Text | None, Meta(description="Part of a symbol or name, in any case.", examples=["apple"])] = None
    sector: Annotated[Text | None, Meta(description="As in the data, in any case.", examples=["TECHNOLOGY"])] = None
    industry: Annotated[Text | None, Meta(description="As in the data, in any case.")] = None
    exchange: Annotated[Text | None, Meta(description="As in the data, in any case.", examples=["NASDAQ"])] = None
    sort: Annotated[
        Text,
        Meta(
            description=(
                "`symbol`, `observed_at`, `confirmed_at` or a field; after a minus, the largest first. Those without"
                " a value come last."
            ),
            examples=["symbol", "-market_capitalization"],
        ),
    ] = "symbol"
    field: Annotated[Fields, Meta(description="Columns besides name, sector, industry and exchange; or `all`.")] = ()
    max_staleness: Hours | None = None
    universe: InUniverse = False

    @property
    def is_plain(self) -> bool:
        """Whether all companies are asked for, in the order in which they are stored."""
        return self.sort == "symbol" and not (self.q or self.sector or self.industry or self.exchange)


class CompanyBase(msgspec.Struct, frozen=True, kw_only=True):
    """A company as it was known."""

    symbol: Symbol
    observed_at: ObservedAt
    confirmed_at: ConfirmedAt
    observed_symbol: ObservedSymbol = UNSET


class CompanyOf(Unpaged, frozen=True, kw_only=True):
    """What `/companies/SYMBOL` takes."""

    symbol: SymbolText


class CompanyInFullBase(CompanyBase, frozen=True, kw_only=True):
    """All that was known of a company."""

    first_observed_at: Annotated[Instant, Meta(description="When its first snapshot was observed.")]
    document: Annotated[Any, Meta(description="The document as it was received.")]


CompanyInFull: Any = with_fields(CompanyInFullBase)


@dataclass(frozen=True, slots=True)
class _Listing:
    """A listing of companies: the rows of an as-of answer, narrowed and sorted."""

    names: Sequence[str]
    """Of the columns of the rows."""
    order: Order
    sorted_by: str

    def place(self, name: str) -> int:
        """Return where a row has a column."""
        return self.names.index(name)

    def passes(self, row: Row, given: CompaniesOf) -> bool:
        """Whether a company is one of those that are asked for."""
        for field in _FILTERED:
            wanted, value = getattr(given, field.column), row[self.place(field.column)]
            if wanted is not None and (value is None or value.casefold() != wanted.casefold()):
                return False
        return given.q is None or matches(given.q, row[0], row[self.place("name")])

    def position(self, row: Row) -> Position:
        """Return the position behind a row."""
        value = json.dumps(row[self.order.column]).encode()
        return Position((row[0], urlsafe_b64encode(value).decode().rstrip("=")), 1)

    def key(self, position: Position) -> Key:
        """Return the company that a position is behind. Raise Refusal if it suits no company in this order."""
        try:
            symbol, text = position.key
            value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, RecursionError):
            raise invalid(position.text()) from None
        is_text = self.sorted_by not in COLUMNS or COLUMNS[self.sorted_by].kind in ("text", "date")
        if (
            value is not None
            and (type(value) not in (int, float) or is_text)
            and not (is_text and isinstance(value, str))
        ):
            raise invalid(position.text())
        return Key(symbol, value)


def companies(history: History, asked: Asked[CompaniesOf]) -> Table:
    """Return the companies that are known, narrowed and sorted."""
    given = asked.given
    is_descending, sorted_by = given.sort.startswith("-"), _sorted_by(given.sort.removeprefix("-"))
    fields = _fields(given.field, sorted_by)

    def of(names: Sequence[str] | None) -> Answer[Any]:
        longest = staleness(given.max_staleness)
        return history.as_of(asked.at, names, fields, max_staleness=longest, universe=given.universe)

    answer = of(None)
    listing = _Listing(answer.names, Order(answer.names.index(sorted_by), is_descending), sorted_by)
    after = None if asked.after is None else listing.key(asked.after)
    if given.is_plain and asked.limit is not None:
        names = asked.names(history, ())
        return _plain_page(names, asked.limit, after, listing, of) if names else Table(_arranged(answer, []), None)
    rows = listing.order.sorted(row for row in _rows(history, asked, answer, fields) if listing.passes(row, given))
    beyond = None
    if asked.limit is not None:
        found = page_of(rows, listing.order, after=after, before=None, size=asked.limit)
        rows = list(found.rows)
        beyond = None if found.after is None else listing.position(rows[-1])
    return Table(_arranged(answer, rows), None, beyond=beyond)


def _plain_page(
    names: Sequence[str], limit: int, after: Key | None, listing: _Listing, of: Callable[[Sequence[str]], Answer[Any]]
) -> Table:
    """Return a page of all companies, of which only those on it are read."""
    begin = 0 if after is None else bisect_right(names, after.symbol)
    some, is_last = names[begin : begin + limit], begin + limit >= len(names)
    beyond = None if is_last else listing.position((some[-1],))
    found = of(some)
    return Table(_arranged(found, list(found.rows())), None, beyond=beyond)


def _rows(history: History, asked: Asked[CompaniesOf], answer: Answer[Any], fields: Sequence[Field]) -> Iterable[Row]:
    """Return the rows of all companies: read once for all pages of them, those for people among them."""
    if asked.given.max_staleness is not None or asked.given.universe:
        return answer.rows()
    return readings.companies(asked.ask, history, fields)


def _sorted_by(text: str) -> str:
    name = text if text in _NOT_FIELDS else find_field(text).column
    if name == "description":
        raise Refusal(HTTPStatus.BAD_REQUEST, "companies cannot be sorted by description", remedy="use another field")
    return name


def _fields(named: Sequence[str], sorted_by: str) -> Sequence[Field]:
    others = [] if sorted_by in _NOT_FIELDS else [COLUMNS[sorted_by]]
    return tuple(dict.fromkeys((*_ALWAYS, *find_fields(named, DEFAULT_FIELDS), *others)))


def _arranged(answer: Answer[Any], rows: Sequence[Row]) -> Answer[Any]:
    """Return an as-of answer of these rows, with the instants behind the fields, and without the staleness."""
    symbol, observed_at, confirmed_at, _, *others = range(len(answer.columns))
    has_symbol_then = answer.names[-1] == "observed_symbol"
    behind = [observed_at, confirmed_at, *others[len(others) - has_symbol_then :]]
    order = [symbol, *others[: len(others) - has_symbol_then], *behind]

    def arranged() -> Iterator[Row]:
        return (tuple(row[place] for place in order) for row in rows)

    columns: list[Column] = [answer.columns[place] for place in order]
    return Answer(columns, arranged, tuple)


async def company(asked: Asked[CompanyOf]) -> msgspec.Struct:
    """Answer all that was known of a company."""
    return await asked.ask.read(lambda history: _in_full(history, asked))


def _in_full(history: History, asked: Asked[CompanyOf]) -> msgspec.Struct:
    (symbol,) = history.check_symbols([asked.given.symbol])
    answer = history.as_of(asked.at, [symbol], ["all"])
    (row,) = answer.rows()
    received, first = history.received(symbol, asked.at), history.first_observed_at([symbol])
    assert received is not None
    assert first is not None
    found = dict(zip(answer.names, row, strict=True))
    del found["staleness_hours"]
    document = msgspec.Raw(spaced_json(received.document).encode())
    in_full: msgspec.Struct = CompanyInFull(**found, first_observed_at=to_text(first), document=document)
    return in_full


COMPANIES = Recorded(
    "/companies",
    "companies",
    "The companies that are known",
    "Found by name, sector, industry and exchange, sorted by any field.",
    CompaniesOf,
    with_fields(CompanyBase),
    companies,
)
COMPANY = Single(
    "/companies/{symbol}",
    "company",
    "All that was known of a company",
    "Every field of its newest snapshot, and the document as it was received.",
    CompanyOf,
    CompanyInFull,
    company,
)

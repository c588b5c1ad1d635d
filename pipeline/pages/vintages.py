"""The pages of vintages, one company's reported values by fiscal quarter, and of restatements, of all companies."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import quote, urlencode

from aiohttp import web

from pipeline.model.fields import COLUMNS, FISCAL_FIELDS, Field
from pipeline.pages.asked import fields_of
from pipeline.pages.rendering import show
from pipeline.pages.spans import Span, span_of, spans
from pipeline.query.history import History
from pipeline.query.results import Vintage
from pipeline.query.vintages import QUARTERLY_FIELDS
from pipeline.web import readings
from pipeline.web.ask import Ask

RESTATEMENTS_PATH = "/restatements"
_SPANS = (("30d", "30 days"), ("365d", "1 year"), ("", "All"))
_MOST_QUARTERS = 12
"""Of a field, where several fields are shown."""
_MOST_ROWS = 200
_MOST_COMPANIES = 100
"""That are looked through for a page of restatements since an instant: all that each ever reported has to be read, but
only of those that reported since then."""
_MOST_WHOLE_COMPANIES = 30
"""The same, of all restatements: within 200 ms where each company has a thousand snapshots."""
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Reported:
    """A field's values by quarter, the newest quarter first."""

    field: Field
    vintages: tuple[Vintage, ...]
    left_out: int
    """How many older values there are."""


@dataclass(frozen=True, slots=True)
class VintagesView:
    """The page of a company's vintages."""

    symbol: str
    name: str
    reported: tuple[Reported, ...]
    chosen: tuple[Field, ...]
    fields: tuple[Field, ...] = QUARTERLY_FIELDS
    """Those to choose from."""

    def alone(self, field: Field) -> str:
        """Return the path of the page with one field, which has all its quarters."""
        return f"/companies/{quote(self.symbol, safe='')}/vintages?field={field.column}"


@dataclass(frozen=True, slots=True)
class RestatementsView:
    """The page of restatements."""

    since: datetime | None
    """They were first known then or later; None: all are shown."""
    until: datetime | None
    spans: Sequence[Span]
    restatements: tuple[tuple[str, tuple[Vintage, ...]], ...]
    """By company, the newest first of each."""
    names: Mapping[str, str]
    given: Mapping[str, str]
    """The parameters, for the form."""
    number: int
    is_first: bool
    first: str
    """The path of the first page."""
    next: str | None
    looked_until: str | None
    """The last company that was looked through, if there are more."""
    all: str
    """The path of the page of all, with the same symbols and fields."""
    fields: Mapping[str, Field]
    """By column."""


async def vintages(ask: Ask) -> web.Response:
    """Answer with what a company reported for each quarter, and when each value was known."""
    symbol = ask.request.match_info["symbol"]
    fields = fields_of(ask, FISCAL_FIELDS, every=QUARTERLY_FIELDS)

    def question(history: History) -> VintagesView:
        (company,) = history.check_symbols([symbol])
        found = history.vintages(company, fields)
        reported = tuple(
            _reported(COLUMNS[column], list(some), is_alone=len(fields) == 1)
            for column, some in groupby(found, key=lambda one: one.field)
        )
        return VintagesView(company, readings.company_names(ask, history, [company]).get(company, ""), reported, fields)

    return await show(ask, "vintages.html", question)


def _reported(field: Field, found: Sequence[Vintage], *, is_alone: bool) -> Reported:
    newest = sorted(found, key=lambda one: (one.latest_quarter, one.known_from), reverse=True)
    quarters = sorted({one.latest_quarter for one in found}, reverse=True)
    oldest = quarters[-1] if is_alone else quarters[:_MOST_QUARTERS][-1]
    shown = tuple(one for one in newest if one.latest_quarter >= oldest)[: 10 * _MOST_ROWS if is_alone else _MOST_ROWS]
    return Reported(field, shown, len(newest) - len(shown))


async def restatements(ask: Ask) -> web.Response:
    """Answer with the values that replaced another of their quarter, company by company."""
    names = tuple(ask.all("symbol"))
    since, until = span_of(ask)
    most = _MOST_WHOLE_COMPANIES if since is None else _MOST_COMPANIES
    fields = fields_of(ask, FISCAL_FIELDS, every=QUARTERLY_FIELDS)
    after = ask.first("after")
    given = {name: ", ".join(ask.all(name)) for name in ("symbol", "field", "since", "until")}

    def question(history: History) -> RestatementsView:
        symbols = history.check_symbols(names) if names else readings.symbols(ask, history)
        rest = symbols[bisect_right(symbols, after) :] if after else symbols
        found: list[tuple[str, tuple[Vintage, ...]]] = []
        looked_until: str | None = None
        for start in range(0, len(rest), _AT_ONCE):
            some = rest[start : start + _AT_ONCE]
            answer = history.restatements(some, fields, since=since, until=until)
            found += (_newest_first(company, rows) for company, rows in groupby(answer, key=lambda one: one.symbol))
            is_full = sum(len(rows) for _, rows in found) >= _MOST_ROWS or start + _AT_ONCE >= most
            if is_full and some[-1] != rest[-1]:
                looked_until = some[-1]
                break
        if after is None and looked_until is None:
            found.sort(key=lambda one: one[1][0].known_from, reverse=True)
        return RestatementsView(
            since=since,
            until=until,
            spans=spans(given, _SPANS, lambda text: _address({**given, "since": text, "until": ""}, None)),
            restatements=tuple(found),
            names=readings.company_names(ask, history, [company for company, _ in found]),
            given=given,
            number=sum(len(rows) for _, rows in found),
            is_first=after is None,
            first=_address(given, None),
            next=None if looked_until is None else _address(given, looked_until),
            looked_until=looked_until,
            all=_address({**given, "since": "", "until": ""}, None),
            fields=COLUMNS,
        )

    return await show(ask, "restatements.html", question)


def _newest_first(company: str, rows: Iterable[Vintage]) -> tuple[str, tuple[Vintage, ...]]:
    return company, tuple(sorted(rows, key=lambda one: one.known_from, reverse=True))


def _address(given: Mapping[str, str], after: str | None) -> str:
    query = urlencode({name: text for name, text in {**given, "after": after or ""}.items() if text})
    return f"{RESTATEMENTS_PATH}?{query}" if query else RESTATEMENTS_PATH

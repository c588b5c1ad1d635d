"""Charts: a company's fields through time. They are drawn on the server; scripts make them zoom and show values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import groupby
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web

from pipeline import instants
from pipeline.errors import Trouble
from pipeline.model.changes import Change, relative_change
from pipeline.model.fields import CATALOGUE, COLUMNS, Field, FieldNotFound, Kind, Part, find_fields
from pipeline.pages.chart_library import ADDRESS, is_installed
from pipeline.pages.rendering import show
from pipeline.plot.labels import placeholder
from pipeline.plot.line_chart import LineChart, line_chart, spark_path, thinned
from pipeline.plot.page_spec import page_spec
from pipeline.plot.palette import DARK, LIGHT, theme
from pipeline.plot.reading import company_of, marked, number, series_of, spells_in, suspicious_in
from pipeline.plot.series import Company, Panel, Plot, Series, Spell
from pipeline.query.history import History
from pipeline.query.reach import BeyondReach
from pipeline.query.results import Snapshot
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

DRAWABLE = tuple(field for field in CATALOGUE if field.kind in (Kind.INTEGER, Kind.REAL))
"""The fields that are numbers."""
USUAL = tuple(
    COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "profit_margin", "operating_margin_ttm")
)
"""The fields that a company's page draws."""
ALL_TIME = "all"
SPANS = (("30d", "1 month"), ("90d", "3 months"), ("365d", "1 year"), ("1825d", "5 years"), (ALL_TIME, "All"))
"""The spans to choose from, back from the instant of the page, and their names."""
USUAL_SPAN = "365d"
_MOST_FIELDS = 12
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Drawing:
    """A field of a company, drawn, or in words why not."""

    field: Field
    chart: LineChart | None
    words: str | None
    """What to say where there is too little to draw."""
    page: str
    """The path of the page with this chart alone."""
    spec: str
    """The path of its Vega-Lite spec."""

    @property
    def trend(self) -> float | None:
        """By which fraction the value changed; None where that would mislead, from zero or across it."""
        if self.chart is None or self.chart.summary.first * self.chart.summary.last <= 0:
            return None
        return relative_change(self.chart.summary.first, self.chart.summary.last)


@dataclass(frozen=True, slots=True)
class Lines:
    """What is drawn of a company: charts of some fields, and small lines."""

    symbol: str
    since: datetime | None
    """The charts begin then; None: with the first snapshot."""
    charts: tuple[Drawing, ...]
    sparks: Mapping[str, str]
    """The paths of small lines by column; only of fields that have one."""
    library: str | None
    """Where the scripts are that make charts zoom; None if they are not installed."""

    @property
    def _drawn(self) -> list[LineChart]:
        return [one.chart for one in self.charts if one.chart is not None]

    @property
    def has_steps(self) -> bool:
        """Whether a chart tells what was seen from what lies in between."""
        return any(chart.between for chart in self._drawn)

    @property
    def has_suspicious(self) -> bool:
        """Whether a chart marks a suspicious value."""
        return any(chart.suspicious for chart in self._drawn)

    @property
    def has_uncovered(self) -> bool:
        """Whether a chart marks a time without coverage."""
        return any(chart.uncovered for chart in self._drawn)


@dataclass(frozen=True, slots=True)
class ChartsView:
    """The page of charts."""

    company: Company
    lines: Lines
    chosen: tuple[Field, ...]
    span: str
    """As the address has it."""
    parts: tuple[tuple[Part, tuple[Field, ...]], ...]
    """The fields to choose from."""
    snapshots: tuple[Snapshot, ...]
    """The newest ones, the newest first."""
    number: int
    """How many snapshots there are."""
    first_seen: datetime | None
    """When the first of them was observed; None without any."""
    seen_at: datetime
    """When the company was last seen."""

    @property
    def csv(self) -> str:
        """The path of all values as CSV."""
        since = "" if self.lines.since is None else f"&since={instants.to_text(self.lines.since)}"
        fields = ",".join(field.column for field in self.chosen)
        return f"/api/v1/history/{quote(self.company.symbol, safe='')}.csv?field={fields}{since}"

    @property
    def all_time(self) -> str:
        """The path of the page with all snapshots."""
        return charts_path(self.company.symbol, self.chosen, ALL_TIME)

    @property
    def spans(self) -> tuple[tuple[str, str, bool], ...]:
        """The spans to choose from: path, name, and whether it is shown."""
        return tuple(
            (charts_path(self.company.symbol, self.chosen, span), name, span == self.span) for span, name in SPANS
        )


def company_lines(newest: Snapshot, since: datetime, snapshots: Sequence[Snapshot], changes: Iterable[Change]) -> Lines:
    """Return what a company's page draws of the year before it was last seen: charts, and a small line for each field.

    Take its newest snapshot and when that year began (`year_before`), and its snapshots and its changes since.
    """
    some = list(changes)
    company, seen_at = company_of(newest), newest.confirmed_at
    suspicious, spells = suspicious_in(some), spells_in(some)
    found = _Found(company, since, USUAL_SPAN, instants.to_text(since), seen_at, snapshots, suspicious, spells)
    return found.lines(USUAL, found.sparks())


def year_before(seen_at: datetime) -> datetime:
    """Return when the year begins that a company's page draws, given when the company was last seen."""
    return seen_at - instants.parse_span(USUAL_SPAN)


async def charts(ask: Ask) -> web.Response:
    """Answer with the charts of the fields that are chosen, and their values in a table."""
    symbol, span = ask.request.match_info["symbol"], ask.first("since") or USUAL_SPAN
    fields, since = _fields(ask), _since(ask, span)

    def question(history: History) -> ChartsView:
        found = _read(history, symbol, fields, since=since, span=span)
        newest = tuple(reversed(found.snapshots[-_MOST_ROWS:]))
        lines = found.lines(fields, {})
        first_seen = found.snapshots[0].observed_at if found.snapshots else None
        return ChartsView(
            found.company, lines, fields, span, _parts(), newest, len(found.snapshots), first_seen, found.seen_at
        )

    return await show(ask, "charts_page.html", question)


async def chart_spec(ask: Ask) -> web.Response:
    """Answer with the Vega-Lite spec of one field, and the colours for light and for dark pages."""
    symbol, span = ask.request.match_info["symbol"], ask.first("since") or USUAL_SPAN
    (field, *_), since = _fields(ask), _since(ask, span)
    found = await ask.read(lambda history: _read(history, symbol, (field,), since=since, span=span))
    spec = page_spec(found.plot(field))
    if spec is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is too little of {field.column} to draw")
    body = msgspec.json.encode({"spec": spec, "light": theme(LIGHT), "dark": theme(DARK)})
    return web.Response(body=body, content_type="application/json")


def charts_path(symbol: str, fields: Sequence[Field], span: str) -> str:
    """Return the path of the charts of some fields."""
    return _path(symbol, "chart", fields, span)


def _path(symbol: str, page: str, fields: Sequence[Field], span: str) -> str:
    chosen = [("field", field.column) for field in fields]
    return f"/companies/{quote(symbol, safe='')}/{page}?{urlencode([*chosen, ('since', span)])}"


def _parts() -> tuple[tuple[Part, tuple[Field, ...]], ...]:
    by_part = sorted(DRAWABLE, key=lambda field: list(Part).index(field.part), reverse=True)
    return tuple((part, tuple(fields)) for part, fields in groupby(by_part, key=lambda field: field.part))


def _fields(ask: Ask) -> tuple[Field, ...]:
    """Return the fields that a request names. Raise FieldNotFound for one that does not exist or is not a number."""
    named = dict.fromkeys(find_fields(ask.all("field"), USUAL, every=DRAWABLE))
    for field in named:
        if field not in DRAWABLE:
            raise FieldNotFound(f"{field.column} is not a number: only numbers can be drawn")
    if len(named) > _MOST_FIELDS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"up to {_MOST_FIELDS} fields are drawn: these are {len(named)}")
    return tuple(named)


@dataclass(frozen=True, slots=True)
class _Found:
    """The snapshots of a company in a span of time, and what is known of them."""

    company: Company
    since: datetime | None
    span: str
    """As the addresses of pages with a chart have it."""
    spec_span: str
    """As the addresses of specs have it: they draw what the page draws."""
    seen_at: datetime
    """When the company was last seen."""
    snapshots: Sequence[Snapshot]
    suspicious: set[tuple[str, str, datetime]]
    spells: tuple[Spell, ...]

    def series(self, field: Field) -> Series:
        return series_of(self.company, field, self.snapshots, self.spells, self.suspicious)

    def plot(self, field: Field) -> Plot:
        return Plot((self.company,), (Panel(field, (self.series(field),)),), self.seen_at, self.spells)

    def lines(self, fields: Sequence[Field], sparks: Mapping[str, str]) -> Lines:
        drawn = tuple(self._drawing(field) for field in fields)
        return Lines(self.company.symbol, self.since, drawn, sparks, ADDRESS if is_installed() else None)

    def _drawing(self, field: Field) -> Drawing:
        series = self.series(field)
        spec = _path(self.company.symbol, "chart.json", (field,), self.spec_span)
        page = charts_path(self.company.symbol, (field,), self.span)
        words = placeholder(series)
        return Drawing(field, None if words else line_chart(series, self.spells), words, page, spec)

    def sparks(self) -> dict[str, str]:
        """Return the small lines of all fields that were read, by column."""
        some = thinned(self.snapshots)
        times = [one.observed_at.timestamp() for one in some]
        paths = (
            (field.column, spark_path(times, [number(one.values[field.column]) for one in some])) for field in DRAWABLE
        )
        return {column: path for column, path in paths if path}


def _read(history: History, symbol: str, fields: Sequence[Field], *, since: datetime | None, span: str) -> _Found:
    (name,) = history.check_symbols([symbol])
    (newest,) = history.as_of("now", [name], ["name", "description"])
    snapshots = list(history.history(name, fields, since=since))
    changes = marked(history.changes([name], since=since))
    seen_at = newest.confirmed_at
    return _Found(company_of(newest), since, span, span, seen_at, snapshots, suspicious_in(changes), spells_in(changes))


def _since(ask: Ask, span: str) -> datetime | None:
    """Return when charts begin: a span before the instant of the page, or an instant. Raise Trouble for neither."""
    if span == ALL_TIME:
        return None
    try:
        return ask.instant_of("since", span, day_ends=False)
    except Trouble as error:
        if isinstance(error, BeyondReach):
            raise
        raise Refusal(HTTPStatus.BAD_REQUEST, error.problem, remedy=f"{error.remedy}, or all") from None

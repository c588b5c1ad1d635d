"""The page of changes: which values changed, from what to what, and when; company by company."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from pipeline import instants
from pipeline.json_text import encode_json
from pipeline.model.anomalies import RULES, Anomaly
from pipeline.model.changes import Change, ChangeKind
from pipeline.model.fields import COLUMNS, Field, Part
from pipeline.model.labels import label
from pipeline.pages.asked import fields_of, flag_of, fraction_of
from pipeline.pages.rendering import show
from pipeline.pages.spans import ALL, Span, span_of, spans
from pipeline.query.history import History
from pipeline.text import cut, quoted
from pipeline.web import readings
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

PATH = "/changes"
_SPANS = (("", "Since the last run"), ("7d", "7 days"), ("30d", "30 days"), ("365d", "1 year"), (ALL, "All"))
_MOST_ROWS = 150
"""Of a page; it ends with a whole snapshot."""
_MOST_COMPANIES, _MOST_COMPANY_DAYS = 2_000, 50_000
"""That are looked through for a page: a narrow filter may find nothing in most of them. A day has about a snapshot."""
_AT_ONCE = 100
_LONGEST = 160
"""Letters of a value that are shown."""
_MOST_OF_ONE = 100
"""Changes of one observation that are shown."""
_SEPARATOR = "~"
"""Between symbol and instant in the key of a page."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes a request asks for."""

    symbols: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    part: Part | None
    fields: tuple[Field, ...]
    min_change: float
    is_suspicious: bool
    is_configured: bool
    """Only while companies were configured."""
    parameters: tuple[tuple[str, str], ...]
    """As the address has them, without the page's key."""
    key: tuple[str, datetime | None] | None
    """The page begins after this company; with an instant, after its snapshot observed then."""

    @classmethod
    def of(cls, ask: Ask) -> "Filter":
        """Return what a request asks for. Raise Refusal or FieldNotFound for what cannot be asked."""
        part = ask.first("part")
        if part is not None and part not in list(Part):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid part {quoted(part)}", remedy=f"use {', '.join(Part)}")
        since, until = span_of(ask)
        given = ask.request.query.items()
        return cls(
            tuple(ask.all("symbol")),
            since,
            until,
            None if part is None else Part(part),
            fields_of(ask, ()),
            fraction_of(ask, "min_change"),
            flag_of(ask, "suspicious"),
            flag_of(ask, "universe"),
            tuple((name, value) for name, value in given if name in _PARAMETERS and value),
            _key(ask),
        )

    def address(self, key: str | None = None) -> str:
        """Return the path of the page of this filter that begins after a key."""
        return _address(PATH, [*self.parameters, *([("after", key)] if key else [])])

    @property
    def feed(self) -> str:
        """The path of the feed with the same filter."""
        return _address("/changes.atom", [one for one in self.parameters if not _is_all(*one)])

    @property
    def is_since_last_run(self) -> bool:
        """Whether no interval is asked for."""
        return self.until is None and not self.given["since"]

    def spanning(self, since: str) -> str:
        """Return the path of the same page of another span."""
        others = [(name, value) for name, value in self.parameters if name not in ("since", "until")]
        return _address(PATH, [*others, *([("since", since)] if since else [])])

    @property
    def given(self) -> Mapping[str, str]:
        """The parameters, for the form."""
        names = dict.fromkeys(_PARAMETERS, "")
        for name, value in self.parameters:
            names[name] = f"{names[name]}, {value}" if names[name] else value
        return names


def _is_all(name: str, value: str) -> bool:
    return name == "since" and value.strip().lower() == ALL


_PARAMETERS = ("symbol", "since", "until", "part", "field", "min_change", "suspicious", "universe")


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change as a page shows it."""

    label: str
    field: Field | None
    """None for one that is not in the catalogue, and for coverage."""
    kind: ChangeKind
    before: Any
    after: Any
    change: float | None
    suspicion: Anomaly | None
    rule: str | None
    """What makes it suspicious."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The changes that one observation of a company found."""

    symbol: str
    observed_at: datetime
    last_confirmed_at: datetime | None
    """When the values before were last seen."""
    rows: tuple[ChangeRow, ...]
    left_out: int
    """How many more there are: a document may have any number of fields."""


@dataclass(frozen=True, slots=True)
class ChangesView:
    """The page of changes."""

    filter: Filter
    since: datetime | None
    is_since_last_run: bool
    spans: Sequence[Span]
    alone: str | None
    """The company, if changes of one are asked for."""
    observations: tuple[Observation, ...]
    names: Mapping[str, str]
    """Of the companies on the page, by symbol."""
    number: int
    """How many changes are on the page."""
    looked_until: str | None
    """The last company that was looked through, if the page ends before all were."""
    next: str | None
    """The path of the page that follows."""
    parts: tuple[Part, ...] = tuple(Part)


async def changes(ask: Ask) -> web.Response:
    """Answer with what changed: without an interval, since the last run began."""
    wanted = Filter.of(ask)
    return await show(ask, "changes.html", lambda history: _view(history, wanted, ask))


def _view(history: History, wanted: Filter, ask: Ask) -> ChangesView:
    is_since_last_run = wanted.is_since_last_run
    since = history.last_run_started_at() if is_since_last_run else wanted.since
    symbols = history.check_symbols(wanted.symbols) if wanted.symbols else readings.symbols(ask, history)
    first = readings.first_observed_at(ask, history) or ask.at
    first = first if since is None else max(first, since)
    found, key, looked_until = _page(history, wanted, symbols, since, days=((wanted.until or ask.at) - first).days + 1)
    observations = tuple(observations_of(found))
    return ChangesView(
        filter=wanted,
        since=since,
        is_since_last_run=is_since_last_run,
        spans=spans(wanted.given, _SPANS, wanted.spanning),
        alone=symbols[0] if wanted.symbols and len(symbols) == 1 else None,
        observations=observations,
        names=readings.company_names(ask, history, {one.symbol for one in observations}),
        number=len(found),
        looked_until=looked_until,
        next=None if key is None else wanted.address(key),
    )


def _page(
    history: History, wanted: Filter, names: Sequence[str], since: datetime | None, *, days: int
) -> tuple[list[Change], str | None, str | None]:
    """Return the changes of a page, the key of the next one, and the last company, if the page ends with that."""
    most = max(1, min(_MOST_COMPANIES, _MOST_COMPANY_DAYS // max(1, days)))
    found: list[Change] = []
    looked = 0
    for some, begins in _chunks(names, wanted.key, since, at_once=min(_AT_ONCE, most)):
        for change in _changes(history, wanted, some, begins):
            place = found[-1] if found else change
            if len(found) >= _MOST_ROWS and (change.symbol, change.observed_at) != (place.symbol, place.observed_at):
                return found, f"{place.symbol}{_SEPARATOR}{instants.to_text(place.observed_at)}", None
            found.append(change)
        looked += len(some)
        if looked >= most and some[-1] != names[-1]:
            return found, some[-1], some[-1]
    return found, None, None


def _chunks(
    names: Sequence[str], key: tuple[str, datetime | None] | None, since: datetime | None, *, at_once: int
) -> Iterator[tuple[Sequence[str], datetime | None]]:
    """Yield the companies of a page, some at a time, and since when their changes are on it."""
    if key is not None:
        symbol, at = key
        if at is not None and symbol in names:
            after = at + instants.MILLISECOND
            yield [symbol], after if since is None else max(since, after)
        names = names[bisect_right(names, symbol) :]
    for start in range(0, len(names), at_once):
        yield names[start : start + at_once], since


def _changes(history: History, wanted: Filter, names: Sequence[str], since: datetime | None) -> Iterator[Change]:
    return iter(
        history.changes(
            names,
            since=since,
            until=wanted.until,
            part=wanted.part,
            fields=wanted.fields or None,
            min_change=wanted.min_change,
            suspicious=wanted.is_suspicious,
            universe=wanted.is_configured,
        )
    )


def observations_of(changes: Iterable[Change]) -> Iterator[Observation]:
    """Yield the changes by the observation that found them. A value that was not seen to change is in none."""
    for (symbol, observed_at), some in groupby(changes, key=lambda one: (one.symbol, one.observed_at)):
        rows = list(some)
        seen = max((one.last_confirmed_at for one in rows if one.last_confirmed_at is not None), default=None)
        shown = tuple(map(_row, rows[:_MOST_OF_ONE]))
        yield Observation(symbol, observed_at, seen, shown, len(rows) - len(shown))


def _row(change: Change) -> ChangeRow:
    field = None if change.part is None else COLUMNS.get(change.field)
    is_coverage = change.kind in (ChangeKind.COVERED, ChangeKind.UNCOVERED)
    return ChangeRow(
        label="Coverage by the API" if is_coverage else change.field if field is None else label(field),
        field=field,
        kind=change.kind,
        before=_value(field, change.before),
        after=_value(field, change.after),
        change=change.change,
        suspicion=change.suspicion,
        rule=None if change.suspicion is None else RULES[change.suspicion],
    )


def _value(field: Field | None, value: Any) -> Any:
    """Return a value as the page shows it: short, and as JSON where no field says what it is."""
    if isinstance(value, str):
        return cut(value, _LONGEST)
    if value is None or (field is not None and isinstance(value, int | float | date)):
        return value
    return cut(encode_json(value).decode(), _LONGEST)


def _key(ask: Ask) -> tuple[str, datetime | None] | None:
    text = ask.first("after")
    if text is None:
        return None
    symbol, _, at_text = text.partition(_SEPARATOR)
    try:
        at = instants.from_text(at_text) if at_text else None
    except ValueError:
        problem = f"invalid after {quoted(text)}"
        raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy="use the link to the next page") from None
    # After the page's instant there is nothing more of this company.
    return symbol, at if at is not None and at < ask.at else None


def _address(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(parameters))
    return f"{path}?{query}" if query else path

"""As-of and history: what was known of each company at an instant, and the versions of one through time."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from pipeline.instants import from_text, to_text
from pipeline.model.companies import Companies
from pipeline.model.fields import COLUMNS, Field, Kind, Part
from pipeline.model.renames import Span
from pipeline.model.values import Value
from pipeline.query.bounds import seen_since_text
from pipeline.query.companies import Wanted
from pipeline.query.results import Answer, Column, Row, Snapshot, columns_of
from pipeline.store.parts import parts_are_there, with_parts

DEFAULT_FIELDS = tuple(COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "eps", "latest_quarter"))
"""The fields of an answer where none is named."""


_FIRST_COLUMNS = (
    Column("symbol", Kind.TEXT),
    Column("observed_at", Kind.INSTANT),
    Column("confirmed_at", Kind.INSTANT),
)

OBSERVED_SYMBOL = Column("observed_symbol", Kind.TEXT)
"""The last column of answers of a database that knows a rename: the symbol that the company had in the snapshot."""


def newest_not_after(at: str) -> str:
    """Return the condition for the newest snapshot of a symbol not after an instant, which an SQL expression gives.

    Joins a table `wanted` of symbols. By its symbol, not the snapshot's own: that would be looked up for each row of a
    symbol's whole past.
    """
    return f"""
    observed_at = (SELECT earlier.observed_at FROM snapshots AS earlier
                    WHERE earlier.symbol = wanted.symbol AND earlier.observed_at <= {at}
                    ORDER BY earlier.observed_at DESC LIMIT 1)
"""


def last_seen(at: str) -> str:
    """Return the SQL expression for when a snapshot was last seen, not after an instant."""
    return f"""
    iif(confirmed_at <= {at}, confirmed_at,
        max(observed_at, coalesce((SELECT at FROM looks WHERE looks.symbol = snapshots.symbol AND at <= {at}
                                    ORDER BY at DESC LIMIT 1), '')))
"""


NEWEST_NOT_AFTER = newest_not_after(":at")
LAST_SEEN = last_seen(":at")
LISTED = "(SELECT value AS symbol FROM json_each(:symbols))"
_SPANS = """
    (SELECT json_extract(value, '$[0]') AS symbol, json_extract(value, '$[1]') AS company,
            json_extract(value, '$[2]') AS since, json_extract(value, '$[3]') AS at FROM json_each(:spans))
"""
"""Spans of companies, each until `at`."""


def history(
    db: sqlite3.Connection,
    companies: Companies,
    company: str,
    fields: Sequence[Field],
    *,
    since: str,
    until: str,
    limit: int | None = None,
) -> Answer[Snapshot]:
    """Return the snapshots of a company observed in an interval, the oldest first: all, or as many as the limit."""
    observed_symbol = ", snapshots.symbol" if companies.have_renames else ""
    confirmed_at = LAST_SEEN if companies.has_company(company) else "confirmed_at"
    query = f"""
        SELECT :company, observed_at, {confirmed_at}{selected(fields)}{observed_symbol}
          FROM snapshots {joined(fields)}
         WHERE snapshots.symbol = :symbol AND observed_at BETWEEN max(:since, :first) AND min(:until, :at)
           AND {whole(fields)}
         ORDER BY observed_at
         LIMIT :limit
    """
    asked = {"company": company, "since": since, "until": until, "limit": -1 if limit is None else limit}

    def read() -> Iterator[Row]:
        found = (
            db.execute(query, {**asked, "symbol": span.symbol, "first": span.since, "at": span.last}).fetchall()
            for span in companies.spans(company)
        )
        return islice(merge(*found, key=_observed_at), limit)

    columns = (*_FIRST_COLUMNS, *_columns(companies, fields))
    return Answer(columns, read, _snapshot(companies, fields))


def as_of(
    db: sqlite3.Connection, wanted: Wanted, at: datetime, fields: Sequence[Field], max_staleness: timedelta | None
) -> Answer[Snapshot]:
    """Return for each company the newest snapshot not after an instant, unless it is too stale."""
    companies = wanted.companies
    seen_since = seen_since_text(at, max_staleness)

    def read() -> Iterator[Row]:
        for company, observed_at, last_seen_at, *values in _newest(db, wanted, to_text(at), fields):
            if last_seen_at >= seen_since:
                yield company, observed_at, last_seen_at, hours(at - from_text(last_seen_at)), *values

    columns = (*_FIRST_COLUMNS, Column("staleness_hours", Kind.REAL), *_columns(companies, fields))
    return Answer(columns, read, _snapshot_as_of(companies, fields, at))


def _newest(db: sqlite3.Connection, wanted: Wanted, at: str, fields: Sequence[Field]) -> Iterable[Row]:
    """Return for each company its name, when its newest snapshot was observed and last seen, its fields and symbol."""
    companies, names = wanted
    if not companies.have_renames:
        return _newest_of_symbols(db, at, names, fields)
    renamed = companies.renamed if names is None else [one for one in names if companies.has_company(one)]
    others = None if names is None else [one for one in names if not companies.has_company(one)]
    spans = [span for company in renamed for span in companies.spans(company)]
    never_renamed = (row for row in _newest_of_symbols(db, at, others, fields) if not companies.has_symbol(row[0]))
    found = [*((*row, row[0]) for row in never_renamed), *_newest_of_spans(db, at, spans, fields)]
    return sorted(found, key=_company)


def _newest_of_symbols(
    db: sqlite3.Connection, at: str, symbols: Sequence[str] | None, fields: Sequence[Field]
) -> list[Row]:
    """Return what `_newest` does, as if each symbol were a company; None: of all symbols."""
    query = f"""
        SELECT snapshots.symbol, observed_at, {LAST_SEEN}{selected(fields)}
          FROM {"symbols" if symbols is None else LISTED} AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {NEWEST_NOT_AFTER}
          {joined(fields)}
         WHERE {whole(fields)}
    """
    parameters = {"at": at, "symbols": None if symbols is None else json.dumps(symbols)}
    return db.execute(query, parameters).fetchall()


def _newest_of_spans(db: sqlite3.Connection, at: str, spans: Sequence[Span], fields: Sequence[Field]) -> Iterable[Row]:
    """Return what `_newest` does of companies by their spans, and the observed symbol behind it."""
    query = f"""
        SELECT wanted.company, observed_at, {last_seen("wanted.at")}{selected(fields)}, snapshots.symbol
          FROM {_SPANS} AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {newest_not_after("wanted.at")}
          {joined(fields)}
         WHERE observed_at >= wanted.since AND {whole(fields)}
    """
    bounds = [(span.symbol, span.company, span.since, min(span.last, at)) for span in spans if span.since <= at]
    found: dict[str, Row] = {}
    for row in db.execute(query, {"spans": json.dumps(bounds)}).fetchall():
        before = found.get(_company(row))
        if before is None or _observed_at(before) <= _observed_at(row):
            found[_company(row)] = row
    return found.values()


def _company(row: Row) -> str:
    return str(row[0])


def _observed_at(row: Row) -> str:
    return str(row[1])


def _columns(companies: Companies, fields: Sequence[Field]) -> Iterator[Column]:
    yield from columns_of(fields)
    if companies.have_renames:
        yield OBSERVED_SYMBOL


def _snapshot(companies: Companies, fields: Sequence[Field]) -> Callable[..., Snapshot]:
    values = _values(companies, fields)

    def make(symbol: str, observed_at: datetime, confirmed_at: datetime, *rest: Value) -> Snapshot:
        of_fields, observed_symbol = values(rest)
        return Snapshot(symbol, observed_at, confirmed_at, of_fields, observed_symbol=observed_symbol)

    return make


def _snapshot_as_of(companies: Companies, fields: Sequence[Field], at: datetime) -> Callable[..., Snapshot]:
    values = _values(companies, fields)

    def make(
        symbol: str, observed_at: datetime, confirmed_at: datetime, _staleness_hours: float, *rest: Value
    ) -> Snapshot:
        of_fields, observed_symbol = values(rest)
        return Snapshot(symbol, observed_at, confirmed_at, of_fields, at - confirmed_at, observed_symbol)

    return make


def _values(
    companies: Companies, fields: Sequence[Field]
) -> Callable[[tuple[Value, ...]], tuple[Mapping[str, Value], str | None]]:
    """Return what makes of the last values of a row those of the fields, by column, and the observed symbol."""
    names = [field.column for field in fields]
    if companies.have_renames:
        return lambda rest: (dict(zip(names, rest[:-1], strict=True)), str(rest[-1]))
    return lambda rest: (dict(zip(names, rest, strict=True)), None)


def selected(fields: Sequence[Field]) -> str:
    """Return the columns to select, all from the catalogue: no name here comes from outside."""
    return "".join(f", {field.column}" for field in fields)


def joined(fields: Sequence[Field]) -> str:
    """Return the joins to the tables that hold the fields. The query needs the condition `whole`, too."""
    return with_parts(*_tables(fields))


def whole(fields: Sequence[Field]) -> str:
    """Return the condition that no snapshot lacks a part of the fields: if one does, the query fails."""
    return parts_are_there(*_tables(fields))


def _tables(fields: Sequence[Field]) -> list[str]:
    parts = {field.part for field in fields}
    return [table for part, table in _TABLES.items() if part in parts]


_TABLES = {Part.PROFILE: "profiles", Part.REPORTED: "statements"}


def hours(span: timedelta) -> float:
    """Return a staleness in hours, as answers show it."""
    return round(span.total_seconds() / 3600, 7)

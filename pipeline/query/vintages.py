"""Vintages: the values that a company reported for a fiscal quarter, each with when it was known, and restatements."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from pipeline.model.changes import relative_change
from pipeline.model.fields import COLUMNS, REPORTED_FIELDS, Field, FieldNotFound, Kind, Part
from pipeline.model.renames import Span
from pipeline.model.values import Value, as_date
from pipeline.query.companies import Wanted, company_batches
from pipeline.query.results import Answer, Column, Vintage
from pipeline.query.snapshots import LAST_SEEN
from pipeline.store.parts import part_of

_Statement = tuple[Any, ...]
"""The values of `REPORTED_FIELDS`."""
_Seen = tuple[str, int, str, str]
"""The company, the statement, and when it was first and last seen, of a snapshot."""
_REPORTED_COLUMNS = ", ".join(field.column for field in REPORTED_FIELDS)
_PLACES = {field: place for place, field in enumerate(REPORTED_FIELDS)}
_QUARTER_FIELD = COLUMNS["latest_quarter"]
_QUARTER_PLACE = _PLACES[_QUARTER_FIELD]
QUARTERLY_FIELDS = tuple(field for field in REPORTED_FIELDS if field is not _QUARTER_FIELD)
"""Those that have vintages."""


class _Row(NamedTuple):
    """A row of an answer, as its columns are named."""

    symbol: str
    field: str
    latest_quarter: str
    value: Value
    known_from: str
    known_until: str
    is_restatement: bool
    before: Value
    change: float | None


@dataclass(slots=True)
class _Sighting:
    """What was reported, with when it was first and last seen before something else was."""

    statement: _Statement
    first_seen: str
    last_seen: str


@dataclass(slots=True)
class _Known:
    """A value of a quarter, with when it was known."""

    value: Value
    known_from: str
    known_until: str


def check_fiscal(fields: Sequence[Field]) -> Sequence[Field]:
    """Return the fields. Raise FieldNotFound for one that is not reported by quarter."""
    for field in fields:
        if field is _QUARTER_FIELD:
            raise FieldNotFound(f"{field.column} names the quarters: pipeline history shows it through time")
        if field.part is not Part.REPORTED:
            raise FieldNotFound(f"{field.column} is not reported by quarter: pipeline history shows it through time")
    return fields


def vintages(
    db: sqlite3.Connection, wanted: Wanted, fields: Sequence[Field], *, since: str, until: str
) -> Answer[Vintage]:
    """Return the vintages first known in an interval, by company, field and quarter."""
    return Answer(_columns(fields), lambda: _rows(db, wanted, fields, since=since, until=until), _vintage)


def restatements(
    db: sqlite3.Connection, wanted: Wanted, fields: Sequence[Field], *, since: str, until: str
) -> Answer[Vintage]:
    """Return the vintages first known in an interval that replaced another value of their quarter."""

    def read() -> Iterator[_Row]:
        rows = _rows(db, wanted, fields, since=since, until=until)
        return (row for row in rows if row.is_restatement)

    return Answer(_columns(fields), read, _vintage)


def _columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    kinds = {field.kind for field in fields}
    if len(kinds) == 1:
        (value,) = kinds
    else:
        value = Kind.REAL if kinds <= {Kind.INTEGER, Kind.REAL} else Kind.JSON
    return (
        Column("symbol", Kind.TEXT),
        Column("field", Kind.TEXT),
        Column("latest_quarter", Kind.DATE),
        Column("value", value),
        Column("known_from", Kind.INSTANT),
        Column("known_until", Kind.INSTANT),
        Column("is_restatement", Kind.BOOLEAN),
        Column("before", value),
        Column("change", Kind.REAL),
    )


def _vintage(*values: Any) -> Vintage:
    found = Vintage._make(values)
    field = COLUMNS[found.field]
    return found._replace(value=as_date(field, found.value), before=as_date(field, found.before))


def _rows(db: sqlite3.Connection, wanted: Wanted, fields: Sequence[Field], *, since: str, until: str) -> Iterator[_Row]:
    """Yield the vintages. All snapshots until the interval's end are read: a value may replace a much older one."""
    for some in company_batches(db, wanted, since, until):
        is_renamed = wanted.companies.has_company(some[0])
        reporting = some if is_renamed or not since else _with_new_statements(db, some, since, until)
        for batch in company_batches(db, Wanted(wanted.companies, reporting), "", until):
            spans = [span for company in batch for span in wanted.companies.spans(company)]
            seen = (_seen_in_spans if is_renamed else _seen)(db, spans, until)
            statements = _statements(db, {number for _, number, *_ in seen})
            for company, sightings in _sightings(seen, statements).items():
                for field in fields:
                    for row in _of_field(company, field, sightings):
                        if row.known_from >= since:
                            yield row


def _with_new_statements(db: sqlite3.Connection, symbols: Sequence[str], since: str, until: str) -> list[str]:
    """Return the symbols with a statement that was first seen in an interval: most of the time, few of them.

    Read is what was observed in the interval, and the last snapshot before it.
    """
    query = """
        SELECT wanted.value
          FROM json_each(:symbols) AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.value AND observed_at <= :until
           AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = wanted.value
                                           AND observed_at < :since ORDER BY observed_at DESC LIMIT 1), :since)
         GROUP BY wanted.key
        HAVING min(statement_id) < max(statement_id) OR min(observed_at) >= :since
    """
    parameters = {"symbols": json.dumps(symbols), "since": since, "until": until}
    return [symbol for (symbol,) in db.execute(query, parameters)]


def _statements(db: sqlite3.Connection, ids: set[int]) -> Mapping[int, _Statement]:
    query = f"SELECT id, {_REPORTED_COLUMNS} FROM statements WHERE id IN (SELECT value FROM json_each(?))"
    found = {number: tuple(values) for number, *values in db.execute(query, (json.dumps(sorted(ids)),))}
    if missing := ids - found.keys():
        raise part_of("statements", min(missing))
    return found


def _seen(db: sqlite3.Connection, spans: Sequence[Span], until: str) -> list[_Seen]:
    """Return the snapshots of symbols that were never renamed, by symbol and instant."""
    query = """
        SELECT symbol, statement_id, observed_at, confirmed_at
          FROM json_each(?) AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.value AND observed_at <= ?
    """
    return db.execute(query, (json.dumps([span.symbol for span in spans]), until)).fetchall()


def _seen_in_spans(db: sqlite3.Connection, spans: Sequence[Span], until: str) -> list[_Seen]:
    """Return the snapshots of one company, which had several symbols, by instant."""
    query = f"""
        SELECT :company, statement_id, observed_at, {LAST_SEEN}
          FROM snapshots WHERE symbol = :symbol AND observed_at BETWEEN :since AND min(:until, :at)
    """
    found: list[_Seen] = []
    for span in spans:
        bounds = {"symbol": span.symbol, "company": span.company, "since": span.since, "at": span.last, "until": until}
        found += db.execute(query, bounds)
    return sorted(found, key=itemgetter(2))


def _sightings(rows: Iterable[_Seen], statements: Mapping[int, _Statement]) -> dict[str, list[_Sighting]]:
    """Return by company what was reported, in order; snapshots in a row with the same statement are one sighting."""
    found: dict[str, list[_Sighting]] = {}
    last: tuple[str, int] | None = None
    for company, number, observed_at, confirmed_at in rows:
        of_company = found.setdefault(company, [])
        if last == (company, number):
            of_company[-1].last_seen = confirmed_at
        else:
            of_company.append(_Sighting(statements[number], observed_at, confirmed_at))
        last = company, number
    return found


def _of_field(symbol: str, field: Field, sightings: Sequence[_Sighting]) -> Iterator[_Row]:
    """Yield the values of a field, by quarter in the order in which they were first known."""
    for quarter, known in _by_quarter(field, sightings).items():
        before: Value = None
        for one in known:
            change = relative_change(before, one.value)
            is_restatement = before is not None
            yield _Row(
                symbol,
                field.column,
                quarter,
                one.value,
                one.known_from,
                one.known_until,
                is_restatement,
                before,
                change,
            )
            before = one.value


def _by_quarter(field: Field, sightings: Sequence[_Sighting]) -> dict[str, list[_Known]]:
    place = _PLACES[field]
    found: dict[str, list[_Known]] = {}
    for sighting in sightings:
        quarter, value = sighting.statement[_QUARTER_PLACE], sighting.statement[place]
        if quarter is None or value is None:
            continue
        known = found.setdefault(quarter, [])
        if known and known[-1].value == value:
            known[-1].known_until = sighting.last_seen
        else:
            known.append(_Known(value, sighting.first_seen, sighting.last_seen))
    return found

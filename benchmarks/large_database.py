"""A database of millions of snapshots, generated in minutes. Run as a process: prints JSON.

A hundred of the sandbox's companies are followed day by day. All others are copies of these with other symbols,
profiles, statements and amounts, inserted straight into the tables. Their rows are in the order of a file that was
imported or vacuumed: by symbol and instant, the statements as they were first observed.
"""

import argparse
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter

from benchmarks.documents import described, symbols
from pipeline.instants import to_text
from pipeline.model.document import Overview, Parts, digest_by_name, digest_of_layout, split_document
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Kind
from pipeline.model.symbols import Symbol
from pipeline.model.values import Value
from pipeline.sandbox.companies import Companies
from pipeline.store.migrate import migrate

MODELS = 100
FIRST_DAY = date(2022, 1, 3)
_BEGINS, _APART = time(22), timedelta(milliseconds=29)
"""When a day's run begins, and the time from one answer to the next."""
_WEEKDAYS = 5
"""On a weekend nothing changes, and every observation says so."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was generated, and how long it took."""

    snapshots: int
    observations: int
    seconds: float
    bytes: int


@dataclass(slots=True)
class _Version:
    """A snapshot of a model, and the days on which it was observed."""

    days: list[str]
    statement: int
    """Its place among the model's."""
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


@dataclass(slots=True)
class _Model:
    """One of the sandbox's companies, through time."""

    profile: tuple[Value, ...]
    versions: list[_Version] = field(default_factory=list)
    statements: dict[tuple[Value, ...], str] = field(default_factory=dict)
    """The day of each one's first observation."""


@dataclass(frozen=True, slots=True)
class _Company:
    """A copy of a model."""

    number: int
    symbol: Symbol
    model: int
    clock: str
    """The time of day of its observations, as text; each company has another."""
    factor: float
    """Its amounts, as a multiple of the model's."""


def generate(database: Path, companies: int, days: int) -> Generated:
    """Generate a database with a snapshot of each company on each of `days` days; return what it took."""
    began = perf_counter()
    models = list(_models(min(companies, MODELS), days))
    migrate(database, now=datetime(2022, 1, 1, tzinfo=UTC))
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")  # a scratch file, which a crash may spoil
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("BEGIN")
        _fill(db, models, [_company(number, symbol, companies) for number, symbol in enumerate(symbols(companies))])
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        (observations,) = db.execute("SELECT count(*) FROM looks").fetchone()
    return Generated(companies * days, observations, perf_counter() - began, database.stat().st_size)


# Models


def _models(count: int, days: int) -> Iterator[_Model]:
    companies = Companies()
    some = (symbol for symbol in companies.symbols if _is_whole(companies.document(symbol, FIRST_DAY)))
    for symbol, _ in zip(some, range(count), strict=False):
        yield _followed(companies, symbol, days)


def _is_whole(document: dict[str, str] | None) -> bool:
    return document is not None and "None" not in document.values()


def _followed(companies: Companies, symbol: Symbol, days: int) -> _Model:
    """Return a company as observed every day, until `days` of them had something new."""
    first = _received(companies, symbol, FIRST_DAY)
    model, last, day = _Model(split_document(first).profile), None, FIRST_DAY
    while True:
        received = last if day.weekday() >= _WEEKDAYS and last else _received(companies, symbol, day)
        if received == last:
            model.versions[-1].days.append(day.isoformat())
        elif len(model.versions) == days:
            return model
        else:
            _add(model, split_document(received), day.isoformat())
        last = received
        day += timedelta(days=1)


def _received(companies: Companies, symbol: Symbol, day: date) -> Overview:
    document = companies.document(symbol, day)
    assert document is not None
    return Overview(symbol, dict(described(document)))


def _add(model: _Model, parts: Parts, day: str) -> None:
    model.statements.setdefault(parts.reported, day)
    place = list(model.statements).index(parts.reported)
    model.versions.append(_Version([day], place, parts.daily, parts.layout, parts.extra))


# Copies


def _company(number: int, symbol: Symbol, companies: int) -> _Company:
    at = datetime.combine(FIRST_DAY, _BEGINS, UTC) + number * _APART
    return _Company(number, symbol, number % MODELS, to_text(at)[10:], 0.5 + (number + 1) / companies)


def _fill(db: sqlite3.Connection, models: list[_Model], companies: list[_Company]) -> None:
    _add_models(db, models)
    db.execute("CREATE TEMP TABLE companies (number INTEGER PRIMARY KEY, symbol, model INT, clock, factor)")
    db.executemany(
        "INSERT INTO companies VALUES (?, ?, ?, ?, ?)",
        ((one.number, one.symbol, one.model, one.clock, one.factor) for one in companies),
    )
    _insert(db, "profiles", PROFILE_FIELDS, (_profile(models[one.model].profile, one) for one in companies))
    _add_statements(db, models, companies)
    db.execute(_SNAPSHOTS)
    db.execute("INSERT INTO looks SELECT symbol, day || clock FROM companies CROSS JOIN model_looks USING (model)")
    db.execute(_SYMBOLS)


def _add_models(db: sqlite3.Connection, models: list[_Model]) -> None:
    daily = ", ".join(field.column for field in DAILY_FIELDS)
    layouts: dict[tuple[str, ...], int] = {}
    db.execute(f"CREATE TEMP TABLE versions (model INT, day, again, statement INT, layout INT, extra, {daily})")
    db.execute("CREATE TEMP TABLE model_looks (model INT, day)")
    for number, model in enumerate(models):
        for one in model.versions:
            again = one.days[-1] if len(one.days) > 1 else None
            layout = layouts.setdefault(one.layout, len(layouts) + 1)
            row = (number, one.days[0], again, one.statement, layout, one.extra, *one.daily)
            db.execute(f"INSERT INTO versions VALUES ({', '.join('?' * len(row))})", row)
            db.executemany("INSERT INTO model_looks VALUES (?, ?)", ((number, day) for day in one.days[1:]))
    db.execute("CREATE INDEX temp.versions_of ON versions (model, day)")
    db.execute("CREATE INDEX temp.looks_of ON model_looks (model, day)")
    db.executemany(
        "INSERT INTO layouts VALUES (?, ?, ?)",
        ((number, digest_of_layout(keys), json.dumps(keys)) for keys, number in layouts.items()),
    )


def _insert(db: sqlite3.Connection, table: str, fields: tuple[Field, ...], parts: Iterable[tuple[Value, ...]]) -> None:
    columns = [field.column for field in fields]
    names = ", ".join(("id", "digest", *columns))
    places = ", ".join("?" * (len(fields) + 2))
    rows = ((number, digest_by_name(columns, values), *values) for number, values in enumerate(parts, 1))
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)


_NAME = [field.column for field in PROFILE_FIELDS].index("name")


def _profile(values: tuple[Value, ...], company: _Company) -> tuple[Value, ...]:
    return (*values[:_NAME], f"{values[_NAME]} {company.symbol}", *values[_NAME + 1 :])


def _add_statements(db: sqlite3.Connection, models: list[_Model], companies: list[_Company]) -> None:
    """Add each company's statements in the order of their first observation."""
    of_model = [list(enumerate(model.statements.items())) for model in models]
    seen = sorted((day, one.number, place, values) for one in companies for place, (values, day) in of_model[one.model])
    _insert(db, "statements", REPORTED_FIELDS, (_statement(values, companies[number]) for _, number, _, values in seen))
    db.execute(
        "CREATE TEMP TABLE own (company INT, statement INT, id INT, PRIMARY KEY (company, statement)) WITHOUT ROWID"
    )
    db.executemany(
        "INSERT INTO own VALUES (?, ?, ?)",
        ((number, place, statement) for statement, (_, number, place, _) in enumerate(seen, 1)),
    )


def _statement(values: tuple[Value, ...], company: _Company) -> tuple[Value, ...]:
    return tuple(_scaled(field, value, company.factor) for field, value in zip(REPORTED_FIELDS, values, strict=True))


def _is_amount(field: Field) -> bool:
    return field.unit == "shares" or field.unit.startswith(("USD", "reporting currency"))


def _scaled(field: Field, value: Value, factor: float) -> Value:
    if not _is_amount(field) or not isinstance(value, int | float):
        return value
    return int(value * factor) if field.kind is Kind.INTEGER else round(value * factor, 3)


def _daily(field: Field) -> str:
    """Return the SQL of a company's number."""
    if not _is_amount(field):
        return field.column
    scaled = f"{field.column} * factor"
    return f"CAST({scaled} AS INTEGER)" if field.kind is Kind.INTEGER else f"round({scaled}, 2)"


_SNAPSHOTS = f"""
    INSERT INTO snapshots (symbol, observed_at, reconfirmed_at, profile_id, statement_id, layout_id, extra,
                           {", ".join(field.column for field in DAILY_FIELDS)})
    SELECT symbol, day || clock, again || clock, number + 1, own.id, layout, extra,
           {", ".join(map(_daily, DAILY_FIELDS))}
      FROM companies
     CROSS JOIN versions ON versions.model = companies.model
     CROSS JOIN own ON own.company = companies.number AND own.statement = versions.statement
     ORDER BY number, day
"""
_SYMBOLS = """
    INSERT INTO symbols (symbol, state, since, last_look, last_overview, last_try, last_outcome, snapshots)
    SELECT symbol, 'covered', since, last, last, last, 'stored', kept
      FROM (SELECT symbol, min(observed_at) AS since, max(confirmed_at) AS last, count(*) AS kept
              FROM snapshots GROUP BY symbol)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("companies", type=int)
    parser.add_argument("days", type=int)
    arguments = parser.parse_args()
    print(json.dumps(asdict(generate(arguments.database, arguments.companies, arguments.days))))


if __name__ == "__main__":
    main()

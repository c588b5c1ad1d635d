"""The questions: what was known, when, and what changed. Read-only SQL, each query beside the rows it returns.

    from pipeline.history import History

    with History.open("data/overviews.db") as record:
        for snapshot in record.as_of("2026-03-14", fields=["pe_ratio"]):
            print(snapshot.symbol, snapshot["pe_ratio"], snapshot.staleness)

Every answer is read when it is iterated over, and can be iterated over again; `.to_arrow()` makes a table of it.
Instants are aware and UTC, or texts as on the command line; a date means its end for `as_of` and `until`, its start for
`since`.
"""

import difflib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from pipeline import extras, instants
from pipeline.changes import Change, ChangeKind, Difference, State, daily_may_be_odd, differences, relative
from pipeline.outcome import ExitCode, Trouble
from pipeline.overview import (
    CATALOGUE,
    COLUMNS,
    DAILY_FIELDS,
    FIELDS,
    FISCAL_FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    SYMBOL_FIELD,
    ColumnKind,
    Document,
    Field,
    Kind,
    Part,
    Parts,
    Symbol,
    Value,
    document,
)
from pipeline.reading import check_kept, kept_symbols, reading

if TYPE_CHECKING:
    import pyarrow as pa

Moment = datetime | date | str
"""An instant, or what the command line takes for one."""

T = TypeVar("T")
_EVER = "9999-12-31T23:59:59.999Z"
_ROWS_AT_ONCE = 20_000
"""Rows of a long question read at a time: between two such, the file is not held."""
_ROUNDING = 1e-12
"""From 3 to 3.15 is a change of 0.05, though in binary fractions a little less."""
_CACHE_KIB = 64 * 1024
_MAPPED_BYTES = 1 << 40
"""All of the file, whatever its size: it is read as memory is, without a copy for each page."""

DEFAULT_FIELDS = tuple(COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "eps", "latest_quarter"))
"""What is shown of a company where no field is named."""


class NoSuchField(Trouble):
    """A field that the catalogue lacks, or that a question is not about."""

    exit_code = ExitCode.USAGE


class Column(NamedTuple):
    """A column of an answer."""

    name: str
    kind: ColumnKind


class Answer(Generic[T]):
    """The answer to a question: iterable, again and again; `tuples` has its rows as the file has them."""

    def __init__(
        self, columns: Sequence[Column], tuples: Callable[[], Iterator[tuple[Any, ...]]], typed: Callable[..., T]
    ) -> None:
        self.columns = tuple(columns)
        self.tuples = tuples
        self._typed = typed

    def __iter__(self) -> Iterator[T]:
        return (self._typed(*row) for row in self.tuples())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def to_arrow(self) -> "pa.Table":
        """Return a typed Arrow table. Raise Trouble where pyarrow is not installed."""
        return extras.parquet().table(self.columns, list(self.tuples()))


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A version of a company's overview, as far as it was asked for."""

    symbol: str
    observed_at: datetime
    """When it was first seen."""
    confirmed_at: datetime
    """When it was last seen unchanged; in an as-of answer, not after that instant."""
    values: Mapping[str, Value]
    """By column."""
    staleness: timedelta | None = None
    """In an as-of answer: how long before the instant it was last seen."""

    def __getitem__(self, field: str) -> Value:
        return self.values[field_named(field).column]


class Vintage(msgspec.Struct, frozen=True, gc=False):
    """A reported value of one quarter, with the interval in which we knew it."""

    symbol: str
    field: str
    latest_quarter: str
    value: Value
    known_from: datetime
    known_until: datetime
    """When it was last seen."""
    is_restatement: bool
    """Whether the quarter had another value before."""
    before: Value
    change: float | None
    """Relative to the value before; None unless both are numbers."""


class _Held(NamedTuple):
    """A version, as a document is made of it."""

    symbol: str
    observed_at: str
    keys: str
    extra: str | None
    values: tuple[Value, ...]


def field_named(text: str) -> Field:
    """Return the field of a column's name, or of the API's. Raise NoSuchField, naming the nearest, for any other."""
    field = COLUMNS.get(text) or FIELDS.get(text) or _BY_LOWER.get(text.lower().replace("-", "_"))
    if field is not None:
        return field
    near = difflib.get_close_matches(text.lower(), _BY_LOWER, n=3)
    names = list(dict.fromkeys(_BY_LOWER[one].column for one in near))
    hint = f"; did you mean {' or '.join(names)}?" if names else "; the README lists them all"
    raise NoSuchField(f"there is no field {text[:40]!r}{hint}")


_BY_LOWER = {name.lower(): field for field in CATALOGUE for name in (field.name, field.column)}


class History:
    """A record, to be asked."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._part = lru_cache(maxsize=4096)(self._read_part)
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")

    @classmethod
    @contextmanager
    def open(cls, path: Path | str) -> Iterator["History"]:
        """Open a file for reading. Raise DatabaseError where it is absent, empty, not ours, or of another version."""
        with reading(Path(path)) as db:
            yield cls(db, Path(path))

    # Symbols

    def symbols(self) -> list[str]:
        """Return the symbols of which a snapshot is kept, in order."""
        return kept_symbols(self._db)

    def kept(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols, in order. Raise NotKept, naming the nearest that are kept, for one that is not."""
        return check_kept(self._db, self._path, [symbols] if isinstance(symbols, str) else symbols)

    def begins(self, symbols: Sequence[str] | None = None) -> datetime | None:
        """Return when the first snapshot was observed, of all or of some symbols; None where there is none."""
        query = """
            SELECT min((SELECT observed_at FROM snapshots WHERE symbol = wanted.value ORDER BY observed_at LIMIT 1))
              FROM json_each(?) AS wanted
        """
        (first,) = self._db.execute(query, (json.dumps(self.symbols() if symbols is None else symbols),)).fetchone()
        return None if first is None else instants.from_text(first)

    def last_run(self) -> datetime | None:
        """Return when the last run began in which the API was asked for anything; None where none was."""
        query = """
            SELECT started_at FROM runs
             WHERE trigger <> 'import' AND (requests > 0 OR EXISTS (
                       SELECT 1 FROM outcomes WHERE run_id = runs.id AND outcome <> 'deferred'))
             ORDER BY id DESC LIMIT 1
        """
        row = self._db.execute(query).fetchone()
        return None if row is None else instants.from_text(row[0])

    # One company through time

    def history(
        self,
        symbol: str,
        fields: Iterable[str | Field] | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Answer[Snapshot]:
        """Return the snapshots of a symbol observed from `since` to `until`, the oldest first.

        Raise NotKept or NoSuchField.
        """
        (wanted,) = self.kept([symbol])
        columns = _fields(fields, DEFAULT_FIELDS)
        query = f"""
            SELECT snapshots.symbol, observed_at, confirmed_at{_selected(columns)}
              FROM snapshots {_joined(columns)}
             WHERE snapshots.symbol = ? AND observed_at BETWEEN ? AND ?
             ORDER BY observed_at
        """
        bounds = _since(since), _until(until)
        return Answer(
            (*_WHEN, *_columns(columns)),
            lambda: iter(self._db.execute(query, (wanted, *bounds)).fetchall()),
            _typed_snapshot(columns),
        )

    # What was known at an instant

    def as_of(
        self,
        instant: Moment,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        max_staleness: timedelta | None = None,
    ) -> Answer[Snapshot]:
        """Return for each symbol the newest snapshot not after the instant, and how stale it was then.

        Nothing that was seen later has a part in it, the staleness included: a version counts as last seen at the
        greatest look not after the instant. `max_staleness` leaves out what was last seen longer before.

        Raise NotKept or NoSuchField.
        """
        at = _moment(instant, day_ends=True)
        columns = _fields(fields, DEFAULT_FIELDS)
        wanted = None if symbols is None else json.dumps(self.kept(symbols))
        query = f"""
            SELECT snapshots.symbol, observed_at, {_LAST_SEEN}{_selected(columns)}
              FROM {"symbols" if wanted is None else _NAMED} AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {_NOT_AFTER}
              {_joined(columns)}
        """
        given = {"at": instants.to_text(at), "symbols": wanted}
        seen_since = _seen_since(at, max_staleness)

        def tuples() -> Iterator[tuple[Any, ...]]:
            for symbol, observed, seen, *values in self._db.execute(query, given).fetchall():
                if seen >= seen_since:
                    yield symbol, observed, seen, _hours(at - instants.from_text(seen)), *values

        return Answer(
            (*_WHEN, Column("staleness_hours", Kind.REAL), *_columns(columns)), tuples, _typed_as_of(columns, at)
        )

    def documents_as_of(
        self, instant: Moment, symbols: Iterable[str] | None = None, *, max_staleness: timedelta | None = None
    ) -> Iterator[Document]:
        """Yield the documents that `as_of` is about, exactly as they were received."""
        at = _moment(instant, day_ends=True)
        wanted = self.symbols() if symbols is None else self.kept(symbols)
        query = f"""
            SELECT snapshots.symbol, observed_at, layouts.keys, extra, {_ALL_COLUMNS}
              FROM {_NAMED} AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {_NOT_AFTER}
              {_ALL_PARTS}
              JOIN layouts ON layouts.id = layout_id
             WHERE {_LAST_SEEN} >= :seen_since
        """
        given = {
            "at": instants.to_text(at),
            "symbols": json.dumps(wanted),
            "seen_since": _seen_since(at, max_staleness),
        }
        for symbol, observed_at, keys, extra, *values in self._db.execute(query, given).fetchall():
            yield _document(_Held(symbol, observed_at, keys, extra, tuple(values)))

    # What changed

    def changes(
        self,
        symbols: Iterable[str] | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        part: Part | str | None = None,
        fields: Iterable[str | Field] | None = None,
        min_change: float = 0.0,
        suspicious: bool = False,
    ) -> Answer[Change]:
        """Return what changed in the snapshots observed from `since` to `until`, by symbol, the oldest first.

        `part` and `fields` narrow it down; `min_change` leaves out numbers that changed by a smaller fraction (0.05 is
        5 %); `suspicious`, all that the market can explain. Raise NotKept or NoSuchField.
        """
        wanted = None if symbols is None else self.kept(symbols)
        only = None if fields is None else frozenset(field.column for field in _fields(fields, ()))
        of_part = None if part is None else Part(part)
        bounds = _since(since), _until(until)

        def is_asked_for(row: tuple[Any, ...]) -> bool:
            _, field, in_part, kind, _, _, change, _, _, suspicion = row
            return (
                (only is None or field in only)
                and (of_part is None or in_part == of_part)
                and (change is None or abs(change) + _ROUNDING >= min_change or kind != ChangeKind.CHANGED)
                and (suspicion is not None or not suspicious)
            )

        def tuples() -> Iterator[tuple[Any, ...]]:
            rows = chain.from_iterable(self._changes(wanted, *bounds))
            is_all = only is None and of_part is None and not min_change and not suspicious
            return rows if is_all else filter(is_asked_for, rows)

        return Answer(_CHANGE, tuples, _typed_change)

    def _changes(self, symbols: Sequence[str] | None, since: str, until: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the changes of some symbols after others, as lists: there may be hundreds of thousands."""
        for some in self._in_portions(symbols, since, until):
            coverage = self._coverage_changes(some, since, until)
            found = self._value_changes(some, since, until)
            if coverage:
                found = sorted(found + coverage, key=lambda row: (row[0], row[8]))
            yield found

    def _in_portions(self, symbols: Sequence[str] | None, since: str, until: str) -> Iterator[list[str]]:
        """Yield the symbols so many at a time as a portion of rows is kept of in those days. None: all ever asked."""
        query = "SELECT symbol, snapshots FROM symbols"
        if symbols is None:
            kept = self._db.execute(query).fetchall()
        else:
            wanted = "JOIN json_each(?) AS wanted ON wanted.value = symbol ORDER BY symbol"
            kept = self._db.execute(f"{query} {wanted}", (json.dumps(symbols),)).fetchall()
        days = (_day(until) - _day(since)).days + 2
        some: list[str] = []
        rows = 0
        for symbol, snapshots in kept:
            rows += min(snapshots, days) + 1
            some.append(symbol)
            if rows >= _ROWS_AT_ONCE:
                yield some
                some, rows = [], 0
        if some:
            yield some

    def _value_changes(self, symbols: Sequence[str], since: str, until: str) -> list[tuple[Any, ...]]:
        """Return what changed in the snapshots observed in an interval, by symbol and instant."""
        query = f"""
            SELECT {_DAILY_COLUMNS}, symbol, observed_at, confirmed_at, profile_id, statement_id, layout_id, extra
              FROM json_each(:symbols) AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.value
               AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = wanted.value
                                               AND observed_at < :since ORDER BY observed_at DESC LIMIT 1), :since)
               AND observed_at <= :until
        """
        given = {"symbols": json.dumps(symbols), "since": since, "until": until}
        found: list[tuple[Any, ...]] = []
        before: tuple[Any, ...] | None = None
        for after in self._db.execute(query, given):
            if before is not None and before[_SYMBOL] == after[_SYMBOL]:
                found += self._between(before, after)
            before = after
        return found

    def _between(self, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return what changed from one row to the next: mostly daily numbers, and nothing else need be looked at."""
        if before[_SLOW] == after[_SLOW] and not daily_may_be_odd(before, after):
            return _daily_changes(before, after)
        old, new = self._state(before), self._state(after)
        return [_change(after[_SYMBOL], old, new, one) for one in differences(old, new)]

    def _state(self, row: tuple[Any, ...]) -> State:
        *daily, _, observed, confirmed, profile, statement, layout, extra = row
        return State(
            observed,
            confirmed,
            profile,
            statement,
            layout,
            self._part("profiles", profile),
            self._part("statements", statement),
            tuple(daily),
            self._part("layouts", layout),
            extra,
        )

    def _read_part(self, table: str, part_id: int) -> tuple[Any, ...]:
        row = self._db.execute(f"SELECT {_COLUMNS_OF[table]} FROM {table} WHERE id = ?", (part_id,)).fetchone()
        return tuple(json.loads(row[0])) if table == "layouts" else tuple(row)

    def _coverage_changes(self, symbols: Sequence[str], since: str, until: str) -> list[tuple[Any, ...]]:
        query = """
            SELECT uncovered.symbol, uncovered.at
              FROM json_each(?) AS wanted CROSS JOIN uncovered ON uncovered.symbol = wanted.value AND at <= ?
        """
        gone: dict[str, list[str]] = {}
        for symbol, at in self._db.execute(query, (json.dumps(symbols), until)):
            gone.setdefault(symbol, []).append(at)
        return [row for symbol, at in gone.items() for row in self._turns(symbol, at, since, until)]

    def _turns(self, symbol: str, gone: list[str], since: str, until: str) -> Iterator[tuple[Any, ...]]:
        """Yield where a symbol that was at times not covered began or ceased to be."""
        for after, before in zip(["", *gone], [*gone, _EVER], strict=True):
            first, last = self._covered_between(symbol, after, before, until)
            if first is None or last is None:
                continue
            if after and since <= first <= until:
                yield _coverage_row(symbol, ChangeKind.COVERED, after, first)
            if before is not _EVER and since <= before <= until:
                yield _coverage_row(symbol, ChangeKind.UNCOVERED, last, before)

    def _covered_between(self, symbol: str, after: str, before: str, until: str) -> tuple[str | None, str | None]:
        """Return the first and the last look between two others, and not after `until`, that found the symbol covered.

        Of two looks at one instant, the one that found it covered counts as the later, as it does for its state.
        """
        query = """
            SELECT min(at), max(at) FROM (
                SELECT min(observed_at) AS at FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT max(observed_at) FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT min(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
                UNION ALL
                SELECT max(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
            )
        """
        given = {"symbol": symbol, "after": after, "before": before, "until": until}
        first, last = self._db.execute(query, given).fetchone()
        return first, last

    # Reported values, by quarter

    def vintages(
        self,
        symbol: str,
        fields: Iterable[str | Field] | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Answer[Vintage]:
        """Return each reported value of a company by field and fiscal quarter, with when it was known.

        `since` and `until`: those first known then. Raise NotKept, and NoSuchField for a field that is not reported by
        the quarter.
        """
        return self._vintages(self.kept([symbol]), fields, since, until)

    def restatements(
        self,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Answer[Vintage]:
        """Return the values that took another's place in its own quarter, of all symbols or of some.

        `since` and `until`: those first known then, however long before the other was.
        """
        answer = self._vintages(None if symbols is None else self.kept(symbols), fields, since, until)
        return Answer(answer.columns, lambda: (row for row in answer.tuples() if row[6]), _typed_vintage)

    def _vintages(
        self,
        symbols: Sequence[str] | None,
        fields: Iterable[str | Field] | None,
        since: Moment | None,
        until: Moment | None,
    ) -> Answer[Vintage]:
        columns = _fields(fields, FISCAL_FIELDS)
        for field in columns:
            if field.part is not Part.REPORTED or field.column == "latest_quarter":
                why = "is what tells the quarters apart" if field.part is Part.REPORTED else "is not reported"
                raise NoSuchField(f"{field.column} {why}: pipeline history shows it through time")
        first, last = _since(since), _until(until)

        def tuples() -> Iterator[tuple[Any, ...]]:
            for some in self._in_portions(symbols, "", last):
                for row in self._vintage_rows(some, columns, last):
                    if row[4] >= first:
                        yield row

        return Answer(_vintage_columns(columns), tuples, _typed_vintage)

    def _vintage_rows(self, symbols: Sequence[str], fields: Sequence[Field], until: str) -> Iterator[tuple[Any, ...]]:
        """Yield the vintages of all that was observed until then: a value may take the place of a much older one."""
        query = """
            SELECT symbol, statement_id, observed_at, confirmed_at
              FROM json_each(?) AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.value AND observed_at <= ?
        """
        rows = self._db.execute(query, (json.dumps(symbols), until)).fetchall()
        spans: dict[str, list[tuple[tuple[Any, ...], str, str]]] = {}
        last: tuple[str, int] | None = None
        for symbol, statement, observed, confirmed in rows:
            of_symbol = spans.setdefault(symbol, [])
            if last == (symbol, statement):
                of_symbol[-1] = (*of_symbol[-1][:2], confirmed)
            else:
                of_symbol.append((self._part("statements", statement), observed, confirmed))
            last = symbol, statement
        for symbol, of_symbol in spans.items():
            for field in fields:
                yield from _of_field(symbol, field, of_symbol)


# Rows


_WHEN = (Column("symbol", Kind.TEXT), Column("observed_at", "instant"), Column("confirmed_at", "instant"))
_CHANGE = (
    Column("symbol", Kind.TEXT),
    Column("field", Kind.TEXT),
    Column("part", Kind.TEXT),
    Column("kind", Kind.TEXT),
    Column("before", "json"),
    Column("after", "json"),
    Column("change", Kind.REAL),
    Column("last_confirmed_at", "instant"),
    Column("observed_at", "instant"),
    Column("suspicion", Kind.TEXT),
)


def _vintage_columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    kinds = {field.kind for field in fields}
    numbers: ColumnKind = Kind.REAL if kinds <= {Kind.INTEGER, Kind.REAL} else "json"
    value: ColumnKind = Kind.INTEGER if kinds == {Kind.INTEGER} else numbers
    return (
        Column("symbol", Kind.TEXT),
        Column("field", Kind.TEXT),
        Column("latest_quarter", Kind.DATE),
        Column("value", value),
        Column("known_from", "instant"),
        Column("known_until", "instant"),
        Column("is_restatement", "boolean"),
        Column("before", value),
        Column("change", Kind.REAL),
    )


_COLUMNS_OF = {
    "profiles": ", ".join(field.column for field in PROFILE_FIELDS),
    "statements": ", ".join(field.column for field in REPORTED_FIELDS),
    "layouts": "keys",
}
_DAILY_COLUMNS = ", ".join(field.column for field in DAILY_FIELDS)
_ALL_COLUMNS = ", ".join(field.column for field in (*PROFILE_FIELDS, *REPORTED_FIELDS, *DAILY_FIELDS))
_ALL_PARTS = "JOIN profiles ON profiles.id = profile_id JOIN statements ON statements.id = statement_id"
_NAMED = "(SELECT value AS symbol FROM json_each(:symbols))"
# By the symbol wanted, not the snapshot's own: that would be looked up for each row of a symbol's whole past.
_NOT_AFTER = """
    observed_at = (SELECT earlier.observed_at FROM snapshots AS earlier
                    WHERE earlier.symbol = wanted.symbol AND earlier.observed_at <= :at
                    ORDER BY earlier.observed_at DESC LIMIT 1)
"""
_LAST_SEEN = """
    iif(confirmed_at <= :at, confirmed_at,
        max(observed_at, coalesce((SELECT at FROM looks WHERE looks.symbol = snapshots.symbol AND at <= :at
                                    ORDER BY at DESC LIMIT 1), '')))
"""
_REPORTED_PLACES = {field: number for number, field in enumerate(REPORTED_FIELDS)}
_QUARTER = _REPORTED_PLACES[COLUMNS["latest_quarter"]]


def _columns(fields: Sequence[Field]) -> Iterator[Column]:
    return (Column(field.column, field.kind) for field in fields)


def _fields(given: Iterable[str | Field] | None, usual: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields given, each once; the usual ones where none are."""
    asked = [given] if isinstance(given, str) else given or ()
    fields = [field if isinstance(field, Field) else field_named(field) for field in asked] or usual
    return tuple(dict.fromkeys(field for field in fields if field is not SYMBOL_FIELD))


def _selected(fields: Sequence[Field]) -> str:
    """Return the columns of the catalogue to be selected: no name here comes from outside."""
    return "".join(f", {field.column}" for field in fields)


def _joined(fields: Sequence[Field]) -> str:
    parts = {field.part for field in fields}
    profiles = "JOIN profiles ON profiles.id = profile_id" if Part.PROFILE in parts else ""
    statements = "JOIN statements ON statements.id = statement_id" if Part.REPORTED in parts else ""
    return f"{profiles} {statements}"


def _document(held: _Held) -> Document:
    profile, reported = len(PROFILE_FIELDS), len(REPORTED_FIELDS)
    parts = Parts(
        profile=held.values[:profile],
        reported=held.values[profile : profile + reported],
        daily=held.values[profile + reported :],
        layout=tuple(json.loads(held.keys)),
        extra=held.extra,
    )
    return document(Symbol(held.symbol), parts)


def _change(symbol: str, before: State, after: State, found: Difference) -> tuple[Any, ...]:
    return (
        symbol, found.column, found.part and found.part.value, found.kind.value, found.before, found.after,
        relative(found.before, found.after), before.confirmed_at, after.observed_at, found.suspicion,
    )  # fmt: skip


# A row to be compared begins with its daily numbers, so that they can be gone through without being cut out; then:
_SYMBOL, _OBSERVED, _CONFIRMED = range(len(DAILY_FIELDS), len(DAILY_FIELDS) + 3)
_SLOW = slice(_CONFIRMED + 1, None)
_DAILY_NAMES = tuple(field.column for field in DAILY_FIELDS)
# Plain texts, not members of an enumeration: rows of nothing but texts and numbers are dropped by the garbage collector
# at first sight, and tens of thousands of others gone through again and again.
_OF_DAILY, _CHANGED = Part.DAILY.value, ChangeKind.CHANGED.value


def _daily_changes(before: tuple[Any, ...], after: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the daily numbers that changed, where nothing else did and none is odd: as `_change` would, and sooner."""
    symbol, last, first = after[_SYMBOL], before[_CONFIRMED], after[_OBSERVED]
    return [
        (
            symbol, column, _OF_DAILY, _CHANGED, was, now,
            (now - was) / abs(was) if was and now is not None else None, last, first, None,
        )
        for column, was, now in zip(_DAILY_NAMES, before, after, strict=False)  # what follows them is not compared
        if was != now
    ]  # fmt: skip


def _coverage_row(symbol: str, kind: ChangeKind, last: str, first: str) -> tuple[Any, ...]:
    states = ("covered", "unknown")
    before, after = states if kind is ChangeKind.UNCOVERED else states[::-1]
    return symbol, "state", None, kind.value, before, after, None, last, first, None


def _of_field(
    symbol: str, field: Field, spans: Sequence[tuple[tuple[Any, ...], str, str]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of a field, by quarter in the order in which we learnt of them."""
    place = _REPORTED_PLACES[field]
    by_quarter: dict[str, list[list[Any]]] = {}
    for reported, known_from, known_until in spans:
        quarter, value = reported[_QUARTER], reported[place]
        if quarter is None or value is None:
            continue
        known = by_quarter.setdefault(quarter, [])
        if known and known[-1][0] == value:
            known[-1][2] = known_until
        else:
            known.append([value, known_from, known_until])
    for quarter, known in by_quarter.items():
        before = None
        for value, known_from, known_until in known:
            yield (
                symbol, field.column, quarter, value, known_from, known_until,
                before is not None, before, relative(before, value),
            )  # fmt: skip
            before = value


def _typed_snapshot(fields: Sequence[Field]) -> Callable[..., Snapshot]:
    names = [field.column for field in fields]

    def typed(symbol: str, observed_at: str, confirmed_at: str, *values: Value) -> Snapshot:
        observed = instants.from_text(observed_at)
        confirmed = observed if confirmed_at == observed_at else instants.from_text(confirmed_at)
        return Snapshot(symbol, observed, confirmed, dict(zip(names, values, strict=True)))

    return typed


def _typed_as_of(fields: Sequence[Field], at: datetime) -> Callable[..., Snapshot]:
    names = [field.column for field in fields]

    def typed(symbol: str, observed_at: str, confirmed_at: str, _hours: float, *values: Value) -> Snapshot:
        observed = instants.from_text(observed_at)
        confirmed = observed if confirmed_at == observed_at else instants.from_text(confirmed_at)
        return Snapshot(symbol, observed, confirmed, dict(zip(names, values, strict=True)), at - confirmed)

    return typed


def _typed_change(*row: Any) -> Change:
    *what, last_confirmed_at, observed_at, suspicion = row
    symbol, field, part, kind, before, after, change = what
    return Change(
        symbol,
        field,
        part,
        ChangeKind(kind),
        before,
        after,
        change,
        instants.from_text(last_confirmed_at),
        instants.from_text(observed_at),
        suspicion,
    )


def _typed_vintage(*row: Any) -> Vintage:
    symbol, field, quarter, value, known_from, known_until, *rest = row
    return Vintage(
        symbol, field, quarter, value, instants.from_text(known_from), instants.from_text(known_until), *rest
    )


# Instants


def _moment(given: Moment, *, day_ends: bool) -> datetime:
    if isinstance(given, str):
        return instants.parse(given, now=instants.utc_now(), day_ends=day_ends)
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError(f"{given} has no time zone: instants are aware, as in datetime(2026, 3, 14, tzinfo=UTC)")
        return given.astimezone(UTC)
    return instants.of_day(given, ends=day_ends)


def _since(given: Moment | None) -> str:
    return "" if given is None else instants.to_text(_moment(given, day_ends=False))


def _hours(span: timedelta) -> float:
    return round(span.total_seconds() / 3600, 7)


def _seen_since(at: datetime, max_staleness: timedelta | None) -> str:
    ever = at - datetime.min.replace(tzinfo=UTC)
    return "" if max_staleness is None or max_staleness > ever else instants.to_text(at - max_staleness)


def _until(given: Moment | None) -> str:
    return _EVER if given is None else instants.to_text(_moment(given, day_ends=True))


def _day(text: str) -> date:
    return date.fromisoformat(text[:10]) if text else date.min

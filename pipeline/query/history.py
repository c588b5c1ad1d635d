"""The questions: what was known, when, and what changed. Read-only SQL, each query beside the rows it returns.

    from pipeline import History

    with History.open("data/overviews.db") as record:
        for snapshot in record.as_of("2026-03-14", fields=["pe_ratio"]):
            print(snapshot.symbol, snapshot["pe_ratio"], snapshot.staleness)

Every answer is read when it is iterated over, and can be iterated over again; `.to_arrow()` makes a table of it.
Instants are aware and UTC, or texts as on the command line; a date means its end for `as_of` and `until`, its start for
`since`.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import instants
from pipeline.model.changes import Change, ChangeKind
from pipeline.model.document import Document, Parts, join_document
from pipeline.model.fields import (
    COLUMNS,
    DAILY_FIELDS,
    FISCAL_FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    Field,
    FieldNotFound,
    Kind,
    Part,
    fields_named,
)
from pipeline.model.symbols import Symbol
from pipeline.model.values import Value
from pipeline.query.compare import CHANGE_COLUMNS, Comparison
from pipeline.query.results import Answer, Column, Snapshot, Vintage, columns_of
from pipeline.query.vintages import vintage_columns, vintage_rows
from pipeline.store.reader import open_for_reading
from pipeline.store.stored_symbols import check_symbols, stored_symbols

InstantLike = datetime | date | str
"""An instant, or what the command line takes for one."""

_ROUNDING = 1e-12
"""From 3 to 3.15 is a change of 0.05, though in binary fractions a little less."""
_CACHE_KIB = 64 * 1024
_MAPPED_BYTES = 1 << 40
"""All of the file, whatever its size: it is read as memory is, without a copy for each page."""

DEFAULT_FIELDS = tuple(COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "eps", "latest_quarter"))
"""What is shown of a company where no field is named."""


class _Held(NamedTuple):
    """A version, as a document is made of it."""

    symbol: str
    observed_at: str
    keys: str
    extra: str | None
    values: tuple[Value, ...]


class History:
    """A record, to be asked."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._comparison = Comparison(db)
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")

    @classmethod
    @contextmanager
    def open(cls, path: Path | str) -> Iterator["History"]:
        """Open a file for reading. Raise DatabaseError where it is absent, empty, not ours, or of another version."""
        with open_for_reading(Path(path)) as db:
            yield cls(db, Path(path))

    # Symbols

    def symbols(self) -> list[str]:
        """Return the symbols of which a snapshot is kept, in order."""
        return stored_symbols(self._db)

    def check_symbols(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols, in order. Raise SymbolNotFound, naming the nearest that are kept, for one that is not."""
        return check_symbols(self._db, self._path, [symbols] if isinstance(symbols, str) else symbols)

    def first_observed_at(self, symbols: Sequence[str] | None = None) -> datetime | None:
        """Return when the first snapshot was observed, of all or of some symbols; None where there is none."""
        query = """
            SELECT min((SELECT observed_at FROM snapshots WHERE symbol = wanted.value ORDER BY observed_at LIMIT 1))
              FROM json_each(?) AS wanted
        """
        (first,) = self._db.execute(query, (json.dumps(self.symbols() if symbols is None else symbols),)).fetchone()
        return None if first is None else instants.from_text(first)

    def last_run_started_at(self) -> datetime | None:
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
        since: InstantLike | None = None,
        until: InstantLike | None = None,
    ) -> Answer[Snapshot]:
        """Return the snapshots of a symbol observed from `since` to `until`, the oldest first.

        Raise SymbolNotFound or FieldNotFound.
        """
        (wanted,) = self.check_symbols([symbol])
        columns = fields_named(fields, DEFAULT_FIELDS)
        query = f"""
            SELECT snapshots.symbol, observed_at, confirmed_at{_selected(columns)}
              FROM snapshots {_joined(columns)}
             WHERE snapshots.symbol = ? AND observed_at BETWEEN ? AND ?
             ORDER BY observed_at
        """
        bounds = _since(since), _until(until)
        return Answer(
            (*_WHEN, *columns_of(columns)),
            lambda: iter(self._db.execute(query, (wanted, *bounds)).fetchall()),
            _typed_snapshot(columns),
        )

    # What was known at an instant

    def as_of(
        self,
        instant: InstantLike,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        max_staleness: timedelta | None = None,
    ) -> Answer[Snapshot]:
        """Return for each symbol the newest snapshot not after the instant, and how stale it was then.

        Nothing that was seen later has a part in it, the staleness included: a version counts as last seen at the
        greatest look not after the instant. `max_staleness` leaves out what was last seen longer before.

        Raise SymbolNotFound or FieldNotFound.
        """
        at = _moment(instant, day_ends=True)
        columns = fields_named(fields, DEFAULT_FIELDS)
        wanted = None if symbols is None else json.dumps(self.check_symbols(symbols))
        query = f"""
            SELECT snapshots.symbol, observed_at, {_LAST_SEEN}{_selected(columns)}
              FROM {"symbols" if wanted is None else _NAMED} AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {_NOT_AFTER}
              {_joined(columns)}
        """
        given = {"at": instants.to_text(at), "symbols": wanted}
        seen_since = _seen_since(at, max_staleness)

        def rows() -> Iterator[tuple[Any, ...]]:
            for symbol, observed, seen, *values in self._db.execute(query, given).fetchall():
                if seen >= seen_since:
                    yield symbol, observed, seen, _hours(at - instants.from_text(seen)), *values

        return Answer(
            (*_WHEN, Column("staleness_hours", Kind.REAL), *columns_of(columns)), rows, _typed_as_of(columns, at)
        )

    def documents_as_of(
        self, instant: InstantLike, symbols: Iterable[str] | None = None, *, max_staleness: timedelta | None = None
    ) -> Iterator[Document]:
        """Yield the documents that `as_of` is about, exactly as they were received."""
        at = _moment(instant, day_ends=True)
        wanted = self.symbols() if symbols is None else self.check_symbols(symbols)
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
        since: InstantLike | None = None,
        until: InstantLike | None = None,
        part: Part | str | None = None,
        fields: Iterable[str | Field] | None = None,
        min_change: float = 0.0,
        suspicious: bool = False,
    ) -> Answer[Change]:
        """Return what changed in the snapshots observed from `since` to `until`, by symbol, the oldest first.

        `part` and `fields` narrow it down; `min_change` leaves out numbers that changed by a smaller fraction (0.05 is
        5 %); `suspicious`, all that the market can explain. Raise SymbolNotFound or FieldNotFound.
        """
        wanted = None if symbols is None else self.check_symbols(symbols)
        asked = [fields] if isinstance(fields, str) else list(fields or ())
        only = frozenset(field.column for field in fields_named(asked, ())) if asked else None
        if only is not None and not only:
            raise FieldNotFound("symbol never changes: it is what tells the companies apart")
        of_part = None if part is None else Part(part)
        bounds = _since(since), _until(until)

        def is_asked_for(row: tuple[Any, ...]) -> bool:
            _, field, in_part, kind, _, _, change, _, _, suspicion = row
            return (
                (only is None or (in_part is not None and field in only))  # not what the catalogue lacks, of one name
                and (of_part is None or in_part == of_part)
                and (change is None or abs(change) + _ROUNDING >= min_change or kind != ChangeKind.CHANGED)
                and (suspicion is not None or not suspicious)
            )

        def rows() -> Iterator[tuple[Any, ...]]:
            found = chain.from_iterable(self._comparison.changes(wanted, *bounds))
            is_all = only is None and of_part is None and not min_change and not suspicious
            return found if is_all else filter(is_asked_for, found)

        return Answer(CHANGE_COLUMNS, rows, _typed_change)

    # Reported values, by quarter

    def vintages(
        self,
        symbol: str,
        fields: Iterable[str | Field] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
    ) -> Answer[Vintage]:
        """Return each reported value of a company by field and fiscal quarter, with when it was known.

        `since` and `until`: those first known then. Raise SymbolNotFound, and FieldNotFound for a field
        that is not reported by the quarter.
        """
        return self._vintages(self.check_symbols([symbol]), fields, since, until)

    def restatements(
        self,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
    ) -> Answer[Vintage]:
        """Return the values that took another's place in its own quarter, of all symbols or of some.

        `since` and `until`: those first known then, however long before the other was.
        """
        answer = self._vintages(None if symbols is None else self.check_symbols(symbols), fields, since, until)
        return Answer(answer.columns, lambda: (row for row in answer.rows() if row[6]), _typed_vintage)

    def _vintages(
        self,
        symbols: Sequence[str] | None,
        fields: Iterable[str | Field] | None,
        since: InstantLike | None,
        until: InstantLike | None,
    ) -> Answer[Vintage]:
        columns = fields_named(fields, FISCAL_FIELDS)
        for field in columns:
            if field.part is not Part.REPORTED or field.column == "latest_quarter":
                why = "is what tells the quarters apart" if field.part is Part.REPORTED else "is not reported"
                raise FieldNotFound(f"{field.column} {why}: pipeline history shows it through time")
        first, last = _since(since), _until(until)

        return Answer(
            vintage_columns(columns),
            lambda: vintage_rows(self._db, symbols, columns, since=first, until=last),
            _typed_vintage,
        )


# Rows


_WHEN = (Column("symbol", Kind.TEXT), Column("observed_at", "instant"), Column("confirmed_at", "instant"))
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
    return join_document(Symbol(held.symbol), parts)


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


def _moment(given: InstantLike, *, day_ends: bool) -> datetime:
    if isinstance(given, str):
        return instants.parse(given, now=instants.utc_now(), day_ends=day_ends)
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError(f"{given} has no time zone: instants are aware, as in datetime(2026, 3, 14, tzinfo=UTC)")
        return given.astimezone(UTC)
    return instants.of_day(given, ends=day_ends)


def _since(given: InstantLike | None) -> str:
    return "" if given is None else instants.to_text(_moment(given, day_ends=False))


def _hours(span: timedelta) -> float:
    return round(span.total_seconds() / 3600, 7)


def _seen_since(at: datetime, max_staleness: timedelta | None) -> str:
    ever = at - datetime.min.replace(tzinfo=UTC)
    return "" if max_staleness is None or max_staleness > ever else instants.to_text(at - max_staleness)


def _until(given: InstantLike | None) -> str:
    return instants.LATEST if given is None else instants.to_text(_moment(given, day_ends=True))

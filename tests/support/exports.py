"""Databases to export, and what is exported of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline import instants
from pipeline.model.document import Document, Overview
from pipeline.model.fields import CATALOGUE, Kind
from pipeline.model.outcomes import Outcome, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.reader import open_for_reading
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from pipeline.transfer.export import NAMES, Selection, overview_rows, read_transaction
from tests.support.clocks import START
from tests.support.store import store_overview

IBM, PEP = Symbol("IBM"), Symbol("PEP")
LATER = START + timedelta(days=1000)
FULL: Document = {
    field.name: {Kind.TEXT: f"a {field.name}", Kind.INTEGER: str(n), Kind.REAL: f"{n}.25", Kind.DATE: "2025-12-31"}[
        field.kind
    ]
    for n, field in enumerate(CATALOGUE, start=2**40)
}
"""A document with a value of its own in every column."""
Observed = tuple[Symbol, datetime, Document]


def at(text: str) -> datetime:
    """Return an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def store_all(database: Path, *found: Observed) -> None:
    """Store the documents, each observed at its instant; an empty one means that the symbol is not covered."""
    async with open_writer(database) as writer:
        store = Store(writer)
        for symbol, instant, document in found:
            run = await store.begin(Trigger.MANUAL, at=LATER, symbols=1, due=1)
            if document:
                await store_overview(store, run, Overview(symbol, document), at=instant)
            else:
                await store.note(SymbolResult(run, symbol, Outcome.UNKNOWN, 1, instant))


def observed(symbol: Symbol, day: str, **fields: Any) -> Observed:
    return symbol, at(day), {"Symbol": symbol, "Name": "x", "EPS": "1", **fields}


@contextmanager
def open_state(database: Path) -> Iterator[sqlite3.Connection]:
    """Read one state of a database until the block ends."""
    with open_for_reading(database) as db, read_transaction(db):
        yield db


def exported(database: Path, selection: Selection = Selection()) -> list[dict[str, Any]]:  # noqa: B008 - frozen
    """Return the exported rows, by name of the column."""
    with open_state(database) as db:
        return [dict(zip(NAMES, row, strict=True)) for row in overview_rows(db, selection)]


def view(database: Path) -> list[dict[str, Any]]:
    """Return the rows of the view `overviews`."""
    with closing(sqlite3.connect(database)) as db:
        cursor = db.execute("SELECT * FROM overviews ORDER BY symbol, observed_at")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def parquet(database: Path, selection: Selection = Selection()) -> BytesIO:  # noqa: B008 - frozen
    """Return the exported Parquet file."""
    from pipeline.transfer.parquet import groups, write  # noqa: PLC0415 - needs the extra

    file = BytesIO()
    with open_state(database) as db:
        write(file, (group.table for group in groups(db, selection)))
    return file


def plain(value: object) -> object:
    """Return a value of a Parquet file as the database has it."""
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0)
        return instants.to_text(value)
    return value.isoformat() if isinstance(value, date) else value

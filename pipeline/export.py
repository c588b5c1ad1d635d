"""Export: the record as rows or as the documents received, for other tools, and a file that is whole or absent."""

import heapq
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pipeline import instants
from pipeline.database import PRIVATE_FILE, PRIVATE_FOLDER
from pipeline.outcome import Trouble
from pipeline.overview import (
    CATALOGUE,
    DAILY_FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    ColumnKind,
    Kind,
    Parts,
    Symbol,
    document,
)
from pipeline.text import inert, write_csv

COLUMNS: tuple[tuple[str, ColumnKind], ...] = (
    ("symbol", Kind.TEXT),
    ("observed_at", "instant"),
    ("confirmed_at", "instant"),
    *((field.column, field.kind) for field in CATALOGUE[1:]),
    ("extra", "json"),
)
"""The columns of the view `overviews`, in its order."""
NAMES = tuple(name for name, _ in COLUMNS)

_EVERY_INSTANT = ("", "~")
"""Texts before and after every instant's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Snapshots first observed from `since` to `until`, both included. No symbols: all of them."""

    symbols: tuple[Symbol, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what `WANTED` and its like are bound to."""
        earliest, latest = _EVERY_INSTANT
        return {
            "symbols": json.dumps(self.symbols) if self.symbols else None,
            "since": instants.to_text(self.since) if self.since else earliest,
            "until": instants.to_text(self.until) if self.until else latest,
        }


# Symbols first, then each one's interval: a seek for each, whatever the symbols have besides.

WANTED_SYMBOLS = "(:symbols IS NULL OR symbols.symbol IN (SELECT value FROM json_each(:symbols)))"
_ROWS = f"""
    SELECT {", ".join(NAMES)}
      FROM overviews AS symbols
     WHERE observed_at BETWEEN :since AND :until AND {WANTED_SYMBOLS}
     ORDER BY symbol
"""
_PART_COLUMNS = (
    *(f"profiles.{field.column}" for field in PROFILE_FIELDS),
    *(f"statements.{field.column}" for field in REPORTED_FIELDS),
    *(f"snapshots.{field.column}" for field in DAILY_FIELDS),
)
_ORIGINALS = f"""
    SELECT symbols.symbol, snapshots.observed_at, layouts.keys, snapshots.extra,
           CASE WHEN snapshots.confirmed_at > snapshots.observed_at THEN (
               SELECT json_group_array(at) FROM (
                   SELECT at FROM looks
                    WHERE looks.symbol = symbols.symbol
                      AND at > snapshots.observed_at AND at <= snapshots.confirmed_at
                    ORDER BY at)) END,
           {", ".join(_PART_COLUMNS)}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
      JOIN profiles ON profiles.id = snapshots.profile_id
      JOIN statements ON statements.id = snapshots.statement_id
      JOIN layouts ON layouts.id = snapshots.layout_id
     WHERE {WANTED_SYMBOLS}
     ORDER BY symbols.symbol
"""
_UNCOVERED = f"""
    SELECT symbols.symbol, uncovered.at
      FROM symbols
     CROSS JOIN uncovered ON uncovered.symbol = symbols.symbol AND uncovered.at BETWEEN :since AND :until
     WHERE {WANTED_SYMBOLS}
     ORDER BY symbols.symbol
"""


@contextmanager
def one_state(db: sqlite3.Connection) -> Iterator[None]:
    """Hold one state of the record until the block ends, whatever a run writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def expected(db: sqlite3.Connection, selection: Selection) -> int | None:
    """Return how many snapshots the selection has, or None where only reading them would tell."""
    if selection.since or selection.until:
        return None
    query = f"SELECT coalesce(sum(snapshots), 0) FROM symbols WHERE {WANTED_SYMBOLS}"
    return int(db.execute(query, selection.parameters()).fetchone()[0])


def rows(db: sqlite3.Connection, selection: Selection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the view `overviews`, by symbol and instant."""
    for row in db.execute(_ROWS, selection.parameters()):  # noqa: UP028 - would close it after its database
        yield row


# Documents, as received


def originals(db: sqlite3.Connection, selection: Selection) -> Iterator[dict[str, Any]]:
    """Yield what `import` takes back into an equal record, by symbol and instant: a snapshot, or `{}` for none, each.

    `looks`, where there are any, are the later instants at which the document was found unchanged.
    """
    known = (_original(row) for row in db.execute(_ORIGINALS, selection.parameters()))
    uncovered = (_nothing(*row) for row in db.execute(_UNCOVERED, selection.parameters()))
    yield from heapq.merge(known, uncovered, key=lambda line: (line["symbol"], line["observed_at"]))


def _nothing(symbol: str, at: str) -> dict[str, Any]:
    return {"symbol": symbol, "observed_at": at, "document": {}}


_REPORTED_AT = len(PROFILE_FIELDS)
_DAILY_AT = _REPORTED_AT + len(REPORTED_FIELDS)


def _original(row: tuple[Any, ...]) -> dict[str, Any]:
    symbol, observed_at, keys, extra, looks, *values = row
    parts = Parts(
        profile=tuple(values[:_REPORTED_AT]),
        reported=tuple(values[_REPORTED_AT:_DAILY_AT]),
        daily=tuple(values[_DAILY_AT:]),
        layout=_layout(keys),
        extra=extra,
    )
    line = {"symbol": symbol, "observed_at": observed_at, "document": document(symbol, parts)}
    return {**line, "looks": json.loads(looks)} if looks else line


@lru_cache(maxsize=64)
def _layout(keys: str) -> tuple[str, ...]:
    """Return the keys of a layout, of which there are a dozen in all."""
    return tuple(json.loads(keys))


# Files


def write_rows_csv(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows as CSV: a name above each column, missing empty."""
    with _text(file) as text:
        write_csv(text, NAMES, rows)


def write_rows_jsonl(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows as JSON Lines: an object each, missing null."""
    write_jsonl(file, (dict(zip(NAMES, row, strict=True)) for row in rows))


def write_jsonl(file: BinaryIO, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write objects as JSON, a line each."""
    with _text(file) as text:
        for line in lines:
            text.write(inert(msgspec.json.encode(line).decode()) + "\n")


@contextmanager
def _text(file: BinaryIO) -> Iterator[TextIOWrapper]:
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    yield text
    text.detach()  # flushes; who opened the file closes it


@contextmanager
def replacing(target: Path, database: Path) -> Iterator[BinaryIO]:
    """Yield a new file, its owner's alone, that takes the target's place when the block ends well.

    It is written beside the target: a failure leaves what was there, and nothing else. Raise Trouble where the target
    is a folder, no ordinary file or of the database, or cannot be written.
    """
    target = _resolved(target)
    with _writing(target):
        if target.is_dir():
            raise Trouble(f"{target} is a folder: name a file in it")
        if target.exists() and not target.is_file():
            raise Trouble(f"{target} is no ordinary file: write to stdout (--output -) instead")
        if _is_of(database, target):
            raise Trouble(f"{target} belongs to the database: name another file")
        target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent)
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                _sync(file)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def filling(target: Path) -> Iterator[Path]:
    """Yield a new folder, its owner's alone, that becomes the target when the block ends well.

    Raise Trouble where the target is a file or a folder with something in it, or cannot be written.
    """
    target = _resolved(target)
    with _writing(target):
        if target.exists() and not target.is_dir():
            raise Trouble(f"{target} is a file: with --partition, name a folder")
        if target.is_dir() and any(target.iterdir()):
            raise Trouble(f"{target} is not empty: name a new folder, or empty it first")
        target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent))
        try:
            yield partial
            partial.replace(target)  # which an empty folder does not prevent
        finally:
            with suppress(FileNotFoundError):
                shutil.rmtree(partial)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file in a folder of ours; the folders between are made."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "wb") as file:
        yield file
        _sync(file)


def _resolved(target: Path) -> Path:
    """Return the file that a name leads to, so that a link to it stays one."""
    try:
        resolved = target.resolve()
    except (OSError, RuntimeError):
        resolved = target
    with suppress(OSError):  # of a name that is too long, which opening it will tell
        if resolved.is_symlink():  # from 3.13 on, such a link is resolved to itself
            raise Trouble(f"{target} leads nowhere: it is a link to itself")
    return resolved


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Trouble(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _sync(file: BinaryIO) -> None:
    """Bring the file to the disk, lest a power cut leave an empty one under the name."""
    file.flush()
    os.fsync(file.fileno())


def _is_of(database: Path, target: Path) -> bool:
    """Whether the target is the database, or one of the files beside it that go with it."""
    own = database.resolve()
    return any(target == own.with_name(f"{own.name}{more}") for more in _BESIDE)


_BESIDE = ("", "-wal", "-shm", "-journal", ".lock", ".daemon.lock")

"""Part digests: compares the profiles, statements and layouts that snapshots share with their digests."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from pipeline.errors import Undecodable
from pipeline.model.document import decode_layout, digest_by_name, digest_of_layout
from pipeline.model.fields import PROFILE_FIELDS, REPORTED_FIELDS

_ROWS_AT_ONCE = 2_000


class Part(NamedTuple):
    """A row that snapshots refer to."""

    table: str
    id: int


def check_parts(db: sqlite3.Connection) -> Iterator[tuple[int, list[Part]]]:
    """Yield how many rows were compared, a batch at a time, and those that differ from their digest."""
    for table, fields in (("profiles", PROFILE_FIELDS), ("statements", REPORTED_FIELDS)):
        columns = [field.column for field in fields]  # users may have added others
        yield from _compare(db, table, columns, partial(digest_by_name, columns))
    yield from check_layouts(db)


def check_layouts(db: sqlite3.Connection) -> Iterator[tuple[int, list[Part]]]:
    """Yield the same of layouts alone, of which there are a dozen."""
    yield from _compare(db, "layouts", ["keys"], lambda values: digest_of_layout(decode_layout(values[0])))


def _compare(
    db: sqlite3.Connection, table: str, columns: Sequence[str], digest: Callable[[Sequence[Any]], bytes]
) -> Iterator[tuple[int, list[Part]]]:
    query = f"SELECT id, digest, {', '.join(columns)} FROM {table} WHERE id > ? ORDER BY id LIMIT {_ROWS_AT_ONCE}"
    after = -(1 << 63)  # a damaged id may be any
    while rows := db.execute(query, (after,)).fetchall():
        if rows[-1][0] <= after:
            return  # a damaged tree is not in order, and SQLite's own check has found that
        after = rows[-1][0]
        yield len(rows), [Part(table, number) for number, known, *values in rows if not _is(known, digest, values)]


def _is(known: bytes, digest: Callable[[Sequence[Any]], bytes], values: Sequence[Any]) -> bool:
    """Whether values have a digest, as a file that may be damaged has both."""
    try:
        return digest(values) == known
    except (Undecodable, UnicodeEncodeError, TypeError):
        return False

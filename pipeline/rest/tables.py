"""Tables: the rows that answer a question, as a page of JSON, as CSV or as Parquet, none of them without bounds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from io import BytesIO, StringIO
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from pipeline import extras
from pipeline.json_text import encode_json
from pipeline.query.columnar import as_cells
from pipeline.query.results import Answer, Row
from pipeline.rest.parameters import MOST_ROWS
from pipeline.rest.positions import Position
from pipeline.text import write_csv
from pipeline.web.refusals import Refusal

USUAL_ROWS = 100
"""Of a page, where the request names no limit."""
MOST_VALUES = 1_000_000
"""Rows times columns of a table in one piece: as CSV some 10 MB, of descriptions up to 30."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a question found."""

    answer: Answer[Any]
    """The rows, from where the page begins, or a little earlier."""
    key: Callable[[Row], tuple[str, ...]] | None
    """Where a row stands: they are in the order of their keys, and some in a row may have the same.

    None: the rows are those of the page.
    """
    is_bounded: bool = False
    """Whether it is known to have no more than MOST_VALUES."""
    beyond: Position | None = None
    """Where the next page begins if these rows end before this page does; None: the table ends with them."""


class Page(NamedTuple):
    """The rows of a page, and where the next one begins; None: it is the last."""

    rows: list[Row]
    next: Position | None


def page(table: Table, limit: int, after: Position | None) -> Page:
    """Return the first `limit` rows of a table that come after a position."""
    if table.key is None:
        return Page(list(table.answer.rows()), table.beyond)
    rows = _after(table, after)
    found = list(islice(rows, limit))
    if len(found) < limit or next(rows, None) is None:
        return Page(found, table.beyond)
    last = table.key(found[-1])
    seen = sum(1 for row in found if table.key(row) == last)
    if after is not None and after.key == last:
        seen += after.seen
    return Page(found, Position(last, seen))


def _after(table: Table, position: Position | None) -> Iterator[Row]:
    rows = table.answer.rows()
    if position is None or table.key is None:
        yield from rows
        return
    seen = 0
    for row in rows:
        key = table.key(row)
        if key < position.key:
            continue
        if key == position.key and seen < position.seen:
            seen += 1
            continue
        yield row
        yield from rows


@cache
def page_of(row: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the type of a page of such rows, as JSON has it."""
    link = Annotated[str | None, Meta(description="The path of the next page; null: this is the last.")]
    return msgspec.defstruct(f"{row.__name__}Page", [("rows", list[row]), ("next", link)], frozen=True)  # type: ignore[valid-type]


def as_json_page(table: Table, found: Page, next_path: str | None) -> bytes:
    """Return a page as JSON, whose keys are in the order of the columns, as those of the CSV are."""
    names = table.answer.names
    rows = [dict(zip(names, one, strict=True)) for one in found.rows]
    return encode_json({"rows": rows, "next": next_path})


def as_csv(table: Table, found: Page | None) -> bytes:
    """Return a page as CSV; None: the whole table. Raise Refusal if that is too large."""
    rows = _whole(table.answer) if found is None else found.rows
    text = StringIO(newline="")
    write_csv(text, table.answer.names, as_cells(table.answer.columns, rows))
    return text.getvalue().encode()


def as_parquet(table: Table, found: Page | None) -> bytes:
    """Return a page as a Parquet file; None: the whole table. Raise Refusal if that is too large."""
    if found is None and table.is_bounded:
        tables = table.answer.tables()
    else:
        rows = list(_whole(table.answer)) if found is None else found.rows
        tables = iter([extras.arrow().table(table.answer.columns, rows)])
    file = BytesIO()
    extras.table_parquet().write_tables(file, tables)
    return file.getvalue()


def _whole(answer: Answer[Any]) -> Iterator[Row]:
    most = MOST_VALUES // len(answer.columns)
    for count, row in enumerate(answer.rows(), 1):
        if count > most:
            raise too_large()
        yield row


def too_large() -> Refusal:
    """Return the refusal of a table that is too large to be answered in one piece."""
    problem = f"the table is too large: it has more than {MOST_VALUES:,} values, rows times columns"
    remedy = f"ask for fewer companies, fields or days, or for pages with limit={MOST_ROWS}, following the Link header"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem, remedy=remedy)

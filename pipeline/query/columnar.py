"""Columnar values: an answer's rows as columns, of which tables and data frames are made."""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.json_text import spaced_json
from pipeline.model.fields import Kind

Columns = Sequence[tuple[str, Kind]]
Row = tuple[Any, ...]


def by_column(columns: Columns, rows: Iterable[Row]) -> list[Sequence[Any]]:
    """Return the values of each column. In a `json` column all are text, in a `real` one all are floats, or None."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return [_of_one_type(each, kind) for (_, kind), each in zip(columns, values, strict=True)]


def as_cells(columns: Columns, rows: Iterable[Row]) -> Iterable[Sequence[Any]]:
    """Return rows for a table or CSV, in which a received value other than text or a number is its JSON."""
    is_json = [kind == Kind.JSON for _, kind in columns]
    if not any(is_json):
        return rows
    return (
        [
            spaced_json(value) if nested and type(value) in _NESTED else value
            for value, nested in zip(row, is_json, strict=True)
        ]
        for row in rows
    )


_NESTED = frozenset({bool, dict, list})


def _of_one_type(values: Sequence[Any], kind: Kind) -> Sequence[Any]:
    match kind:
        case Kind.JSON:
            return [value if value is None or isinstance(value, str) else spaced_json(value) for value in values]
        case Kind.REAL:
            return [value if value is None else float(value) for value in values]
        case _:
            return values

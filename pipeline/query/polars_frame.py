"""Polars data frames of answers. Needs Polars."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from pipeline.model.fields import Kind
from pipeline.query.columnar import Columns, Row, by_column

_TYPES = {Kind.INTEGER: pl.Int64, Kind.REAL: pl.Float64, Kind.BOOLEAN: pl.Boolean}
"""All others are text, of which instants and dates are parsed."""


def frame(columns: Columns, rows: Iterable[Row]) -> pl.DataFrame:
    """Return rows as a data frame: dates as Date, instants as Datetime in UTC. They are text in the rows, as stored."""
    values = by_column(columns, rows)
    return pl.DataFrame([_series(name, each, kind) for (name, kind), each in zip(columns, values, strict=True)])


def frame_of(table: Any) -> pl.DataFrame:
    """Return an Arrow table as a data frame with the same types as `frame` gives. Texts are not in dictionaries."""
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made


def _series(name: str, values: Sequence[Any], kind: Kind) -> pl.Series:
    series = pl.Series(name, values, _TYPES.get(kind, pl.String))
    match kind:
        case Kind.DATE:
            return series.str.to_date("%Y-%m-%d")
        case Kind.INSTANT:
            return series.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC")
        case _:
            return series

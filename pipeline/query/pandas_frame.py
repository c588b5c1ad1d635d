"""pandas data frames of answers. Needs pandas."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.model.fields import Kind
from pipeline.query.columnar import Columns, Row, by_column

_TYPES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "Int64",  # int64 has no missing value, and a float has 53 bits
    Kind.REAL: "float64",
    Kind.JSON: "string",
    Kind.BOOLEAN: "boolean",
}


def frame(columns: Columns, rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a data frame: dates as datetime64[ms], instants in UTC. Instants and dates are text, as stored."""
    values = by_column(columns, rows)
    return pd.DataFrame({name: _series(each, kind) for (name, kind), each in zip(columns, values, strict=True)})


def frame_of(table: Any) -> pd.DataFrame:
    """Return an Arrow table as a data frame with the same types as `frame` gives. Texts are not in dictionaries."""
    made: pd.DataFrame = table.to_pandas(
        types_mapper=lambda kind: _TYPES_OF_ARROW.get(str(kind)), date_as_object=False, split_blocks=True
    )
    return made


def side_by_side(own: pd.DataFrame, added: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of two frames, which have the same rows, with the index of the first."""
    return pd.concat([own, added.set_axis(own.index, axis="index")], axis="columns")


_TYPES_OF_ARROW = {"string": pd.StringDtype(), "int64": pd.Int64Dtype(), "bool": pd.BooleanDtype()}


def _series(values: Sequence[Any], kind: Kind) -> pd.Series:
    if kind is Kind.DATE:
        return pd.Series(np.array(values, "datetime64[ms]"))
    if kind is Kind.INSTANT:
        without_zone = [value and value.removesuffix("Z") for value in values]
        return pd.Series(np.array(without_zone, "datetime64[ms]")).dt.tz_localize("UTC")
    return pd.Series(values, dtype=_TYPES[kind])

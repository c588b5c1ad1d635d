"""Joined: somebody's table with what was known at the instants of its rows, as data frames."""

from typing import TYPE_CHECKING

from pipeline import extras

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Joined:
    """A table with added columns. Anything that reads Arrow's PyCapsule interface takes it, as DuckDB and Polars do."""

    def __init__(self, table: "pa.Table", added: list[str]) -> None:
        """Take the table, and the names of the added columns, which are its last."""
        self._table = table
        self._added = added

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as Arrow's C stream."""
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def to_arrow(self) -> "pa.Table":
        """Return the table as an Arrow table."""
        return self._table

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas data frame: its own columns as Arrow gives them, the added ones as `Answer.to_pandas` does.

        Raise Trouble if pandas is not installed.
        """
        pandas = extras.pandas()
        own, added = self._table.drop_columns(self._added), self._table.select(self._added)
        plain = extras.arrow().without_dictionaries(added)
        made: pd.DataFrame = pandas.side_by_side(own.to_pandas(), pandas.frame_of(plain))
        return made

    def to_polars(self) -> "pl.DataFrame":
        """Return a Polars data frame. Raise Trouble if Polars is not installed."""
        plain = extras.arrow().without_dictionaries(self._table, self._added)
        made: pl.DataFrame = extras.polars().frame_of(plain)
        return made

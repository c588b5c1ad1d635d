"""Data frames of pandas and Polars: each value as stored and of its column's type, or the library's missing one."""

from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.fields import CATALOGUE, Kind
from pipeline.query.history import History
from pipeline.query.results import Answer
from tests.support.answers import answers
from tests.support.hard_record import LARGE, NEVER, NULLS_FIRST, SNAPSHOTS, SYMBOLS, hard_record

PANDAS = {
    Kind.TEXT: "string", Kind.JSON: "string", Kind.INTEGER: "Int64", Kind.REAL: "float64", Kind.BOOLEAN: "boolean",
    Kind.DATE: "datetime64[ms]", Kind.INSTANT: "datetime64[ms, UTC]",
}  # fmt: skip
POLARS = {
    Kind.TEXT: "String", Kind.JSON: "String", Kind.INTEGER: "Int64", Kind.REAL: "Float64", Kind.BOOLEAN: "Boolean",
    Kind.DATE: "Date", Kind.INSTANT: "Datetime(time_unit='ms', time_zone='UTC')",
}  # fmt: skip


@pytest.fixture(scope="module")
def hard() -> Iterator[History]:
    with History.open(hard_record()) as history:
        yield history


def from_pandas(answer: Answer[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a data frame as Python's values."""
    frame = answer.to_pandas()
    kinds = [column.kind for column in answer.columns]
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == _types(answer, PANDAS)
    return [
        tuple(_python(value, kind) for value, kind in zip(row, kinds, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]


def _python(value: Any, kind: Kind) -> Any:
    if import_module("pandas").isna(value):  # loaded when it is needed: it takes half a second
        return None
    if kind in (Kind.DATE, Kind.INSTANT):
        return value.date() if kind is Kind.DATE else value.to_pydatetime()
    return value


def _types(answer: Answer[Any], names: dict[Kind, str]) -> dict[str, str]:
    return {column.name: names[column.kind] for column in answer.columns}


def from_polars(answer: Answer[Any]) -> list[tuple[Any, ...]]:
    frame = answer.to_polars()
    assert {name: str(kind) for name, kind in frame.schema.items()} == _types(answer, POLARS)
    return frame.rows()


def expected(answer: Answer[Any]) -> list[tuple[Any, ...]]:
    """Return the rows as an Arrow table has them."""
    pytest.importorskip("pyarrow")
    return [tuple(row.values()) for row in answer.to_arrow().to_pylist()]


@pytest.mark.parametrize("rows_of", [from_pandas, from_polars])
def test_every_answer_becomes_a_data_frame_of_the_same_values(full: Path, rows_of: Any) -> None:
    with History.open(full) as history:
        for answer in answers(history).values():
            rows = rows_of(answer)
            assert rows == expected(answer)
            assert rows


@pytest.mark.parametrize("rows_of", [from_pandas, from_polars])
def test_values_that_are_hard_to_guess_stay_what_they_are(hard: History, rows_of: Any) -> None:
    (last,) = (row for row in rows_of(hard.as_of("now", fields="all")) if row[0] == "NA")
    names = hard.as_of("now", fields="all").names
    value = dict(zip(names, last, strict=True))

    assert len(names) == len(CATALOGUE) + 3
    assert value["shares_float"] == LARGE
    assert value["market_capitalization"] == LARGE + SNAPSHOTS - 1
    assert value["revenue_ttm"] is None
    assert value["cik"] == "0000051143"
    assert value["ex_dividend_date"] == date(2026, 3, 31)
    assert value["observed_at"].utcoffset() == timedelta(0)
    assert value[NEVER] is None
    assert [row[0] for row in rows_of(hard.as_of("now"))] == SYMBOLS


@pytest.mark.parametrize("rows_of", [from_pandas, from_polars])
def test_a_column_that_begins_with_nulls_or_has_nothing_else_keeps_its_type(hard: History, rows_of: Any) -> None:
    rows = rows_of(hard.history("IBM", ["shares_float", "revenue_ttm", NEVER, "dividend_date"]))

    assert [row[3] for row in rows] == [None] * NULLS_FIRST + [LARGE] * (SNAPSHOTS - NULLS_FIRST)
    assert {row[4] for row in rows} == {None, LARGE, LARGE + 2}
    assert {row[5:] for row in rows} == {(None, None)}


@pytest.mark.parametrize("rows_of", [from_pandas, from_polars])
def test_an_answer_without_rows_has_its_columns(hard: History, rows_of: Any) -> None:
    assert rows_of(hard.history("IBM", "all", until="2000-01-01")) == []

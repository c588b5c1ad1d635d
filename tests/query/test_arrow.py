"""Arrow: answers and rows as typed tables."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.fields import Kind
from pipeline.query.history import History
from tests.support.answers import answers
from tests.support.observations import database_of
from tests.support.vintages import Q1, reported


def test_a_table_is_made_of_rows_with_instants_and_dates_as_text_or_not() -> None:
    pytest.importorskip("pyarrow")
    from pipeline.query.arrow import TYPES, table  # noqa: PLC0415 - needs the extra

    columns = [("t", Kind.TEXT), ("i", Kind.INTEGER), ("r", Kind.REAL), ("d", Kind.DATE), ("at", Kind.INSTANT)]
    day, instant = date(2026, 3, 1), datetime(2026, 3, 1, 1, 2, 3, 4000, UTC)
    texts = [("x", 1, 1.5, "2026-03-01", "2026-03-01T01:02:03.004Z"), (None,) * 5]
    values = [("x", 1, 1.5, day, instant), (None,) * 5]
    for given in (texts, values, [(None,) * 5], []):
        made = table(columns, given)
        assert made.schema.types == [TYPES[kind] for _, kind in columns]
        assert [tuple(row.values()) for row in made.to_pylist()] == [values[0] if row[0] else row for row in given]


def test_every_answer_becomes_a_typed_arrow_table(full: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    with History.open(full) as history:
        tables = {name: answer.to_arrow() for name, answer in answers(history).items()}
        rows = {name: list(answer) for name, answer in answers(history).items()}
        empty = history.history("IBM", ["eps"], until="2000-01-01").to_arrow()
    instant, words = pa.timestamp("ms", tz="UTC"), pa.dictionary(pa.int32(), pa.string())
    when = {"symbol": words, "observed_at": instant, "confirmed_at": instant}
    fields = {"eps": pa.float64(), "latest_quarter": pa.date32(), "name": words, "market_capitalization": pa.int64()}
    assert types(tables["history"]) == {**when, **fields}
    assert types(tables["as_of"]) == {**when, "staleness_hours": pa.float64(), **fields}
    assert types(tables["changes"]) == {
        "symbol": words, "field": words, "part": words, "kind": words, "before": pa.string(), "after": pa.string(),
        "change": pa.float64(), "last_confirmed_at": instant, "observed_at": instant, "suspicion": words,
    }  # fmt: skip
    assert types(tables["vintages"]) == types(tables["restatements"]) == {
        "symbol": words, "field": words, "latest_quarter": pa.date32(), "value": pa.float64(), "known_from": instant,
        "known_until": instant, "is_restatement": pa.bool_(), "before": pa.float64(), "change": pa.float64(),
    }  # fmt: skip
    assert types(tables["vintages of dates"])["value"] == pa.string()
    assert types(empty) == {**when, "eps": pa.float64()}
    assert empty.num_rows == 0
    for name, table in tables.items():
        assert table.num_rows == len(rows[name])
    assert tables["history"].column("observed_at").to_pylist() == [one.observed_at for one in rows["history"]]
    assert tables["history"].column("latest_quarter").to_pylist()[0] == date(2025, 3, 31)
    assert tables["vintages"].column("value").to_pylist() == [one.value for one in rows["vintages"]]
    assert tables["restatements"].column("is_restatement").to_pylist() == [True]


def types(table: Any) -> dict[str, Any]:
    return {field.name: field.type for field in table.schema}


def test_whole_numbers_of_any_size_go_into_arrow() -> None:
    pytest.importorskip("pyarrow")
    huge = 2**62 + 1
    with History.open(database_of([reported(0, Q1, str(huge)), reported(1, Q1, "1")])) as history:
        assert history.vintages("IBM", ["revenue_ttm"]).to_arrow().column("value").to_pylist() == [huge, 1]

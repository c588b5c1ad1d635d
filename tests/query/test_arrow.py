"""Arrow: tables of rows, typed by their columns."""

from datetime import UTC, date, datetime

import pytest

from pipeline.model.fields import Kind


def test_a_table_is_made_of_rows_with_instants_and_dates_as_text_or_not() -> None:
    pytest.importorskip("pyarrow")
    from pipeline.query.arrow import TYPES, table  # noqa: PLC0415 - needs the extra

    columns = [("t", Kind.TEXT), ("i", Kind.INTEGER), ("r", Kind.REAL), ("d", Kind.DATE), ("at", "instant")]
    day, instant = date(2026, 3, 1), datetime(2026, 3, 1, 1, 2, 3, 4000, UTC)
    texts = [("x", 1, 1.5, "2026-03-01", "2026-03-01T01:02:03.004Z"), (None,) * 5]
    values = [("x", 1, 1.5, day, instant), (None,) * 5]
    for given in (texts, values, [(None,) * 5], []):
        made = table(columns, given)  # type: ignore[arg-type]
        assert made.schema.types == [TYPES[kind] for _, kind in columns]  # type: ignore[index]
        assert [tuple(row.values()) for row in made.to_pylist()] == [values[0] if row[0] else row for row in given]

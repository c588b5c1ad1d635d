"""Export formats: CSV and JSON Lines, harmless to what shows them."""

import csv
import json
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.model.fields import Kind
from pipeline.transfer.export import COLUMNS, Selection, overview_rows
from pipeline.transfer.formats import write_rows_csv, write_rows_jsonl
from tests.support.exports import IBM, observed, open_state, store_all, view


def as_file(write: Any, items: Any) -> bytes:
    file = BytesIO()
    write(file, items)
    return file.getvalue()


async def test_csv_has_every_value_and_leaves_missing_empty(kept: Path) -> None:
    with open_state(kept) as db:
        text = as_file(write_rows_csv, overview_rows(db, Selection())).decode()
    read = list(csv.DictReader(text.splitlines()))
    kinds: dict[str, type] = {Kind.INTEGER: int, Kind.REAL: float}
    typed = [{name: kinds.get(kind, str)(row[name]) if row[name] else None for name, kind in COLUMNS} for row in read]
    assert typed == view(kept)


async def test_csv_is_harmless_to_a_spreadsheet_and_leaves_numbers_alone(database: Path) -> None:
    await store_all(database, observed(IBM, "2026-01-01", Name="=1+1", Description="a\rb", EPS="-1.5"))
    with open_state(database) as db:
        text = as_file(write_rows_csv, overview_rows(db, Selection())).decode()
    (row,) = csv.DictReader(iter([*text.split("\n")[:1], text.split("\n", 1)[1].rstrip("\n")]))
    assert (row["name"], row["description"], row["eps"]) == ("'=1+1", "a\rb", "-1.5")
    assert '"a\rb"' in text


async def test_json_lines_have_numbers_as_numbers_and_missing_as_null(kept: Path) -> None:
    with open_state(kept) as db:
        lines = as_file(write_rows_jsonl, overview_rows(db, Selection())).decode().splitlines()
    assert [json.loads(line) for line in lines] == view(kept)


async def test_no_line_acts_on_a_terminal(database: Path) -> None:
    await store_all(database, observed(IBM, "2026-01-01", Name="é\x9b31m\u202e\x1b"))
    with open_state(database) as db:
        (line,) = as_file(write_rows_jsonl, overview_rows(db, Selection())).decode().splitlines()
    assert json.loads(line)["name"] == "é\x9b31m\u202e\x1b"
    assert "é" in line
    assert line.isprintable()

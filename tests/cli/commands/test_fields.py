"""`pipeline fields`: the catalogue, without a database."""

import csv
import json
from io import StringIO
from pathlib import Path

from pipeline.errors import ExitCode
from pipeline.store.reader import open_for_reading
from tests.support.commands import assert_refused, call, query, table


def test_the_catalogue_is_what_a_database_has_in_its_table_of_fields(database: Path) -> None:
    with open_for_reading(database) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(fields)")]
        stored = {row[0]: dict(zip(names, row, strict=True)) for row in db.execute("SELECT * FROM fields")}

    listed = query(database, "fields", "--json").json

    assert {row["field"]: row for row in listed} == stored
    assert len(listed) == len(stored)


def test_every_form_has_the_same_rows(folder: Path) -> None:
    listed = call(folder, "fields", "--json").json

    assert [json.loads(line) for line in call(folder, "fields", "--format", "jsonl").out.splitlines()] == listed
    cells = list(csv.DictReader(StringIO(call(folder, "fields", "--format", "csv").out)))
    assert [{**row, "missing": row["missing"].lstrip("'")} for row in cells] == [
        {name: str(value) for name, value in row.items()} for row in listed
    ]


def test_it_needs_no_configuration(folder: Path) -> None:
    (folder / "config" / "pipeline.toml").write_text("not = [toml")

    header, *listed = table(call(folder, "fields", "52WeekHigh", "pe_ratio"))

    assert header == ["field", "kind", "unit", "description", "name", "part", "missing"]
    assert [row[0] for row in listed] == ["week_52_high", "pe_ratio"]


def test_an_unknown_field_is_refused_and_the_nearest_named(folder: Path) -> None:
    assert_refused(call(folder, "fields", "pe_rato"), ExitCode.USAGE, "pe_ratio")

"""The Excel export, read back by openpyxl."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest

from pipeline.model.fields import Kind
from pipeline.transfer.export import COLUMNS, NAMES, Selection, overview_rows
from tests.support.exports import IBM, observed, open_state, store_all, view

openpyxl = pytest.importorskip("openpyxl")
excel = pytest.importorskip("pipeline.transfer.excel")


def written(rows: Sequence[tuple[Any, ...]]) -> bytes:
    file = BytesIO()
    excel.write_rows_xlsx(file, rows)
    return file.getvalue()


def read(content: bytes) -> list[dict[str, Any]]:
    """Return the cells of each row, by name of the column."""
    names, *rows = openpyxl.load_workbook(BytesIO(content), read_only=True)["overviews"].iter_rows(values_only=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def row(**values: Any) -> tuple[Any, ...]:
    """Return a row of the export with these values, and the others missing."""
    known = {"symbol": "IBM", "observed_at": "2026-03-14T18:30:00.000Z", "confirmed_at": "2026-03-14T18:30:00.000Z"}
    return tuple({**known, **values}.get(name) for name in NAMES)


def as_stored(kind: Kind, value: Any) -> Any:
    """Return a cell as the database has it."""
    if value is not None and kind == Kind.INSTANT:
        return value.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.date().isoformat() if value is not None and kind == Kind.DATE else value


def test_every_value_is_there_with_its_type(kept: Path) -> None:
    with open_state(kept) as db:
        found = read(written(list(overview_rows(db, Selection()))))

    assert [{name: as_stored(kind, cells[name]) for name, kind in COLUMNS} for cells in found] == view(kept)


def test_instants_and_dates_are_dates_and_numbers_numbers() -> None:
    (found,) = read(written([row(latest_quarter="2025-12-31", market_capitalization=10**12, pe_ratio=17.25)]))

    assert found["observed_at"] == datetime(2026, 3, 14, 18, 30)
    assert found["latest_quarter"].date() == date(2025, 12, 31)
    assert (found["market_capitalization"], found["pe_ratio"], found["eps"]) == (10**12, 17.25, None)


@pytest.mark.parametrize("text", ["=1+1", "+1", "@x", "http://example.com", "0123", "NA", "TRUE", "a\nb", "é日", " x "])
async def test_no_text_becomes_a_formula_a_link_or_a_number(database: Path, text: str) -> None:
    await store_all(database, observed(IBM, "2026-01-01", Name=text))
    with open_state(database) as db:
        content = written(list(overview_rows(db, Selection())))

    sheet = openpyxl.load_workbook(BytesIO(content))["overviews"]
    cell = sheet.cell(2, NAMES.index("name") + 1)
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


@pytest.mark.parametrize(("text", "is_quoted"), [("=1+1", True), ("\uff1d1+1", True), ("1+1", False)])
def test_what_begins_as_a_formula_stays_text_when_its_cell_is_edited(text: str, *, is_quoted: bool) -> None:
    sheet = openpyxl.load_workbook(BytesIO(written([row(name=text)])))["overviews"]

    assert bool(sheet.cell(2, NAMES.index("name") + 1).quotePrefix) is is_quoted


def test_control_characters_do_not_break_the_file() -> None:
    text = "".join(chr(code) for code in range(32))

    (found,) = read(written([row(name=f"a{text}b")]))

    assert "".join(c for c in found["name"] if category(c) != "Cc" and c not in "_x0123456789ABCDEF") == "ab"


def test_what_excel_would_round_or_cannot_date_is_text() -> None:
    (found,) = read(written([row(ebitda=2**53 + 1, revenue_ttm=2**53, latest_quarter="1899-12-31")]))

    assert (found["ebitda"], found["revenue_ttm"]) == (str(2**53 + 1), 2**53)
    assert found["latest_quarter"] == "1899-12-31"


def test_too_long_a_text_is_refused_with_its_place() -> None:
    with pytest.raises(excel.TooLargeForExcel, match="description of row 2 has 32,768 characters"):
        written([row(), row(description="x" * 32_768)])


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_ROWS", 2)

    assert len(read(written([row()] * 2))) == 2
    with pytest.raises(excel.TooLargeForExcel, match="2 rows"):
        written([row()] * 3)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert written([row(name="x")]) == written([row(name="x")])


def test_a_full_disk_is_reported_as_such() -> None:
    class Full(BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        excel.write_rows_xlsx(Full(), [row()])

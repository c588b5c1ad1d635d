"""Excel export: snapshots as a sheet of an .xlsx file, with real dates and numbers. Needs the extra `excel`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import RawIOBase
from typing import Any, BinaryIO

from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from pipeline.errors import Trouble
from pipeline.instants import date_from_text, from_text
from pipeline.model.fields import Kind
from pipeline.partials import scratch_folder
from pipeline.text import begins_formula
from pipeline.transfer.export import COLUMNS

# https://support.microsoft.com/office/excel-specifications-and-limits
MOST_ROWS = 1_048_575
"""Of a sheet, below its header."""
LONGEST_TEXT = 32_767
"""Characters of a cell."""
_LARGEST_EXACT = 2**53
"""Excel's numbers are doubles: a larger integer would be rounded."""
_FIRST_YEAR = 1900
"""Excel has no date before it."""

_FORMATS = {Kind.INSTANT: "yyyy-mm-dd hh:mm:ss", Kind.DATE: "yyyy-mm-dd", Kind.INTEGER: "#,##0"}
_WIDTHS = {Kind.INSTANT: 19, Kind.DATE: 12, Kind.INTEGER: 20, Kind.REAL: 14, Kind.TEXT: 18, Kind.JSON: 18}
_OPTIONS = {
    "constant_memory": True,  # each row goes to a temporary file
    "use_zip64": True,  # a large file is no error
}


class TooLargeForExcel(Trouble):
    """A sheet or a cell cannot hold what was to be written."""


def write_rows_xlsx(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write the rows of `export` as a workbook of one sheet, `overviews`: missing values empty, instants in UTC.

    An integer that Excel would round, and a date before 1900, are written as text. Raise TooLargeForExcel.
    """
    with _workbook(file) as workbook:
        sheet = workbook.add_worksheet("overviews")
        formats = {kind: workbook.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
        formats |= dict.fromkeys((Kind.TEXT, Kind.JSON), workbook.add_format({"quote_prefix": True}))
        _write_header(sheet, workbook)
        last = 0
        for last, row in enumerate(rows, 1):
            if last > MOST_ROWS:
                raise TooLargeForExcel(
                    f"an Excel sheet holds {MOST_ROWS:,} rows",
                    remedy="select fewer by SYMBOL or --since, or use Parquet",
                )
            for place, ((_, kind), value) in enumerate(zip(COLUMNS, row, strict=True)):
                if value is not None:
                    _CELLS[kind](sheet, last, place, value, formats.get(kind))
        sheet.autofilter(0, 0, last, len(COLUMNS) - 1)


@contextmanager
def _workbook(file: BinaryIO) -> Iterator[Workbook]:
    """Yield a workbook that is written into the file at the end of the block, unless it raises."""
    with scratch_folder("excel") as folder:
        target = _Target(file)
        workbook = Workbook(target, {**_OPTIONS, "tmpdir": str(folder)})
        workbook.set_properties({"created": datetime(2000, 1, 1)})  # noqa: DTZ001 - the same rows give the same bytes
        try:
            yield workbook
        except BaseException:
            for sheet in workbook.worksheets():
                sheet.row_data_fh.close()  # only close() would, after it has written the file
            raise
        try:
            workbook.close()
        except FileCreateError as error:
            raise error.args[0] from None  # the OSError
        if target.error is not None:
            raise target.error


class _Target(RawIOBase):
    """A file that keeps its first error, and drops what is written after it.

    The zip file inside the workbook would fail once more when it is closed, at a time that nothing can catch.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)


def _write_header(sheet: Worksheet, workbook: Workbook) -> None:
    bold = workbook.add_format({"bold": True})
    for place, (name, kind) in enumerate(COLUMNS):
        sheet.set_column(place, place, max(_WIDTHS[kind], len(name) + 3))
        sheet.write_string(0, place, name, bold)
    sheet.freeze_panes(1, 1)


def _write_text(sheet: Worksheet, row: int, place: int, value: str, form: Format | None) -> None:
    if len(value) > LONGEST_TEXT:
        raise TooLargeForExcel(
            f"{COLUMNS[place][0]} of row {row:,} has {len(value):,} characters: an Excel cell holds {LONGEST_TEXT:,}",
            remedy="use Parquet or CSV",
        )
    # With the format, Excel takes it for text also when its reader has edited it.
    sheet.write_string(row, place, value, form if begins_formula(value) else None)


def _write_number(sheet: Worksheet, row: int, place: int, value: float, form: Format | None) -> None:
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        sheet.write_string(row, place, str(value))
    else:
        sheet.write_number(row, place, value, form)


def _write_instant(sheet: Worksheet, row: int, place: int, value: str, form: Format | None) -> None:
    sheet.write_datetime(row, place, from_text(value).replace(tzinfo=None), form)


def _write_date(sheet: Worksheet, row: int, place: int, value: str, form: Format | None) -> None:
    day = date_from_text(value)
    if day.year < _FIRST_YEAR:
        sheet.write_string(row, place, value)
    else:
        sheet.write_datetime(row, place, datetime(day.year, day.month, day.day), form)  # noqa: DTZ001 - a day


_CELLS: dict[Kind, Callable[[Worksheet, int, int, Any, Format | None], None]] = {
    Kind.TEXT: _write_text,
    Kind.JSON: _write_text,
    Kind.INTEGER: _write_number,
    Kind.REAL: _write_number,
    Kind.INSTANT: _write_instant,
    Kind.DATE: _write_date,
}

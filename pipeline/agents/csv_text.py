"""CSV text: rows as an agent reads them, in a third of the tokens that JSON takes."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from pipeline.json_text import encode_json

_NO_FRACTION = ".000Z"
"""Of an instant to the millisecond, which most are not."""


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a line of names and one for each row. What is not known is empty, lists and objects are JSON."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue().splitlines()


def in_hours(span: float | None) -> str | None:
    """Return hours to six minutes: what text is read for needs no more."""
    return None if span is None else f"{span:.1f}"


def in_fractions(change: float | None) -> str | None:
    """Return a relative change in four digits."""
    return None if change is None else f"{change:.4g}"


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.endswith(_NO_FRACTION):
        return f"{value.removesuffix(_NO_FRACTION)}Z"
    if isinstance(value, bool | dict | list):
        return encode_json(value).decode()
    return value

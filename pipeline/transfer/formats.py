"""Export formats: CSV and JSON Lines. Parquet and Excel have modules of their own, for the packages they need."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, BinaryIO

from pipeline.json_text import encode_json
from pipeline.query.results import Counted
from pipeline.text import printable_json, write_csv
from pipeline.transfer.export import NAMES


def write_rows_csv(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write the rows of `export` as CSV: a header with the names, missing values empty."""
    write_named_csv(file, NAMES, rows)


def write_rows_excel_csv(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write the same after a byte order mark, without which Excel takes UTF-8 for the local 8-bit code."""
    file.write(BOM_UTF8)
    write_rows_csv(file, rows)


def write_rows_jsonl(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write the rows of `export` as JSON Lines: an object each, missing values null."""
    write_named_jsonl(file, NAMES, rows)


def write_named_csv(file: BinaryIO, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows of any columns as CSV: a header with the names, missing values empty. Return how many."""
    counted = Counted(rows)
    with text_of(file) as text:
        write_csv(text, names, counted)
    return counted.count


def write_named_jsonl(file: BinaryIO, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows of any columns as JSON Lines: an object each, missing values null. Return how many."""
    counted = Counted(rows)
    write_jsonl(file, (dict(zip(names, row, strict=True)) for row in counted))
    return counted.count


def write_jsonl(file: BinaryIO, objects: Iterable[Mapping[str, Any]]) -> None:
    """Write objects as JSON Lines."""
    with text_of(file) as text:
        for each in objects:
            text.write(printable_json(encode_json(each).decode()) + "\n")


@contextmanager
def text_of(file: BinaryIO) -> Iterator[TextIOWrapper]:
    """Yield a file's text, in UTF-8 and with line ends as they are written. The file stays open."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    yield text
    text.detach()  # flushes; closing would close the file

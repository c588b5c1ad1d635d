"""Joining: rows of CSV and JSON Lines, with what was known at their instants. Cells pass through as their text."""

import csv
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from io import BufferedReader, TextIOWrapper
from typing import Any, BinaryIO, TypeVar

import msgspec

from pipeline.query.join import JoinError, Joining, joined_rows
from pipeline.text import printable_json, quote_formula, quoted, shown
from pipeline.transfer.formats import text_of
from pipeline.transfer.streams import LONGEST_LINE, STREAM_ERRORS, stream_problem, without_mark, wrong_encoding

T = TypeVar("T")
_ROWS_AT_ONCE, _SIZE_AT_ONCE = 50_000, 64 << 20
"""Rows that are read, joined and written at once, and about how many bytes they take: they bound memory."""
_OF_A_CELL = 60
"""Bytes that a cell takes besides its characters."""


def join_csv(source: BufferedReader, target: BinaryIO, joining: Joining) -> int:
    """Write CSV with its columns and those of the join. Return the number of rows. Raise JoinError, naming the row."""
    with text_of(target) as text, closing(_csv_rows(source)) as reader:
        header = next(reader, None)
        if header is None:
            raise JoinError("the CSV is empty: its first line should name the columns")
        joining.check_columns(header)
        usual = csv.writer(text, lineterminator="\n")
        quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        usual.writerow([*header, *joining.added_names])
        symbol, time = header.index(joining.symbol_column), header.index(joining.time_column)
        number = 0
        for rows in _some(reader, size=lambda row: sum(map(len, row)) + _OF_A_CELL * len(row)):
            asked = [
                (row[symbol], joining.read_instant(row[time], place)) for place, row in enumerate(rows, number + 1)
            ]
            for row, found in zip(rows, joined_rows(joining, asked), strict=True):
                cells = [*row, *map(quote_formula, found)]
                # Before Python 3.13 a lone \\r is not quoted, and readers end the row there.
                has_return = any("\r" in cell for cell in cells if cell.__class__ is str)
                (quoting if has_return else usual).writerow(cells)
            number += len(rows)
        return number


def _some(rows: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield rows in lists of as many as are joined at once."""
    some: list[T] = []
    taken = 0
    for row in rows:
        some.append(row)
        taken += size(row)
        if len(some) >= _ROWS_AT_ONCE or taken >= _SIZE_AT_ONCE:
            yield some
            some, taken = [], 0
    if some:
        yield some


def _check_encoding(source: BufferedReader) -> None:
    """Raise JoinError for text that is not UTF-8, as its first bytes say, and where these cannot be read."""
    try:
        wrong = wrong_encoding(source.peek(4)[:4])
    except STREAM_ERRORS as error:
        raise JoinError(f"the file {stream_problem(error, 0)}") from None
    if wrong:
        raise JoinError(f"the text {wrong}")


class _TooLong(Exception):
    """A row takes more memory than any should."""

    def __init__(self) -> None:
        super().__init__(f"longer than {LONGEST_LINE:,} characters")


class _Lines:
    """The lines of a text. Raises _TooLong before those of one row take too much memory."""

    def __init__(self, text: TextIOWrapper) -> None:
        self.taken = 0
        """Characters since the last row ended."""
        self._text = text

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_LINE + 1)
        self.taken += len(line)
        if self.taken > LONGEST_LINE:
            raise _TooLong
        if not line:
            raise StopIteration
        return line


def _csv_rows(source: BufferedReader) -> Generator[list[str], None, None]:
    """Yield the rows of CSV, the header first, without blank lines. Raise JoinError for one that cannot be read."""
    _check_encoding(source)
    text = TextIOWrapper(source, "utf-8-sig", newline="")
    number, width = 0, 0
    usual = csv.field_size_limit(LONGEST_LINE)  # of all readers in the process
    lines = _Lines(text)
    try:
        for row in csv.reader(lines, strict=True):
            lines.taken = 0
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                raise JoinError(f"row {number:,} has {len(row)} cells, and the header {width}")
            yield row
            number += 1
    except (csv.Error, _TooLong) as error:
        raise JoinError(f"{f'row {number:,}' if width else 'the header'} cannot be read: {error}") from None
    except UnicodeDecodeError:  # text is decoded some rows ahead
        raise JoinError(f"the text is not UTF-8{f', after row {number - 1:,}' if number > 1 else ''}") from None
    except STREAM_ERRORS as error:
        raise JoinError(f"the file {stream_problem(error, number)}") from None
    finally:
        csv.field_size_limit(usual)
        text.detach()


def join_jsonl(source: BufferedReader, target: BinaryIO, joining: Joining) -> int:
    """Write the objects of JSON Lines with the values of the join. Return how many. Raise JoinError, naming the row."""
    _check_encoding(source)
    names = joining.added_names
    lines = _lines(source)
    number = 0
    for some in _some(lines, size=lambda line: len(line) + _OF_A_CELL):
        asked = [_asked(line, row, joining) for row, line in enumerate(some, number + 1)]
        for line, found in zip(some, joined_rows(joining, asked), strict=True):
            added = printable_json(msgspec.json.encode(dict(zip(names, found, strict=True))).decode())
            target.write(b"%b, %b\n" % (line[:-1].rstrip(), added[1:].encode()))
        number += len(some)
    return number


def _lines(source: BufferedReader) -> Iterator[bytes]:
    """Yield the lines of text that are not blank. Raise JoinError where they cannot be read."""
    number = 0
    try:
        while line := source.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise JoinError(f"line {number:,} is longer than {LONGEST_LINE:,} bytes")
            if stripped := without_mark(line).strip():
                yield stripped
    except STREAM_ERRORS as error:
        raise JoinError(f"the file {stream_problem(error, number)}") from None


def _asked(line: bytes, row: int, joining: Joining) -> tuple[str, Any]:
    """Return the symbol and the instant of a line."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JoinError(f"row {row:,} is not JSON: {shown(str(error))}") from None
    if not isinstance(found, dict):
        raise JoinError(f"row {row:,} is not a JSON object")
    try:
        joining.check_columns(list(found))
    except JoinError as error:
        raise JoinError(f"row {row:,}: {error.problem}", remedy=error.remedy) from None
    symbol, at = found[joining.symbol_column], found[joining.time_column]
    if symbol is not None and not isinstance(symbol, str):
        raise JoinError(f"row {row:,}: its symbol is not text: {quoted(symbol)}")
    if not isinstance(at, str):
        raise JoinError(f"row {row:,}: its instant is not text: {quoted(at)}")
    return symbol or "", joining.read_instant(at, row)

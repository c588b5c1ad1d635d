"""Symbol lists: the symbols of a text, as people and programs write lists. One is taken whole, or refused."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.model.symbol_spellings import notes_on, read_symbol
from pipeline.model.symbols import Symbol
from pipeline.text import count, cut, few


@dataclass(frozen=True, slots=True)
class ReadSymbols:
    """The symbols of a list, in order and as often as it has them, and notes of what was changed or left out."""

    symbols: tuple[Symbol, ...]
    notes: tuple[str, ...]


class NotAList(ValueError):
    """A text that is not understood as a whole. The message names the lines; `remedy` is what to do, if known."""

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        super().__init__(problem)
        self.remedy = remedy


class _Line(NamedTuple):
    """A line that is neither blank nor a comment, with its number, counted from 1."""

    number: int
    text: str

    @property
    def bare(self) -> str:
        """The line without a comment at its end, which only a list without columns has."""
        return self.text if _NUMBERED.match(self.text) else self.text.partition("#")[0].strip()


class _Cell(NamedTuple):
    """What should be a symbol, and the line that it is in."""

    line: int
    text: str


class _Header(NamedTuple):
    """Where the header is among the lines, what separates its columns, and which of them has the symbols."""

    at: int
    delimiter: str
    names: tuple[str, ...]
    column: int


_MOST_SHOWN = 40
"""Characters of a column's name in an error or a notice."""
_DELIMITERS = ("\t", ";", ",", "|")
_NUMBERED = re.compile(r'\s{0,9}"?#"?[\t;,|]')
"""A header whose first column is `#`: no comment."""
_PREAMBLE = 20
"""Lines in which a header is looked for: a broker's export begins with the account and the date."""
_EXCHANGES = frozenset({"NASDAQ", "NYSE", "AMEX"})
"""Words that show a line to be the row of a table: no company has such a symbol."""
_FEW = 4


def read_symbol_list(text: str) -> ReadSymbols:
    """Return the symbols of a text: one a line, all in one line, or a column of a table. Raise NotAList.

    `#` begins a comment. The first line may be a header; a table needs one, by which its column of symbols is known.
    """
    lines = [
        _Line(number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and (not line.lstrip().startswith("#") or _NUMBERED.match(line))
    ]
    if lines and re.fullmatch("sep=.", lines[0].bare):  # Excel's way to say what separates columns
        del lines[0]
    header = _find_header(lines)
    if header is None:
        return _read(_cells(lines))
    if len(header.names) > 1:
        return _read_table(lines, header)
    name, number = header.names[0], lines[header.at].number
    note = f"line {number} ({cut(name, _MOST_SHOWN)}) is taken for a header; put a symbol of that name on another line"
    return _read(_cells(lines[1:]), notes=[note])


def _read(cells: Iterable[_Cell], *, notes: Sequence[str] = (), skips_invalid: bool = False) -> ReadSymbols:
    """Return the symbols of the cells. Raise NotAList for invalid ones, unless they are to be left out with a note."""
    readings, invalid = [], []
    for cell in cells:
        try:
            readings.append(read_symbol(cell.text))
        except ValueError as error:
            invalid.append((cell, error))
    if invalid and not skips_invalid:
        (first, why), *others = invalid
        more = f" (invalid too: {_places([cell.line for cell, _ in others])})" if others else ""
        raise NotAList(f"line {first.line}: {why}{more}")
    left_out = few([repr(cell.text) for cell, _ in invalid])
    return ReadSymbols(
        tuple(reading.symbol for reading in readings),
        (*notes, *([f"invalid symbols ignored: {left_out}"] if invalid else []), *notes_on(readings)),
    )


# Without columns


def _cells(lines: Sequence[_Line]) -> list[_Cell]:
    """Return a cell for each line, or all cells of the only line. Raise NotAList for several columns."""
    delimiter = next((one for one in _DELIMITERS if any(one in line.bare for line in lines)), None)
    if delimiter is None:
        return [_Cell(line.number, _unquoted(line.bare)) for line in lines]
    rows = [(line.number, [cell for cell in _split(line, delimiter) if cell]) for line in lines]
    several = [number for number, cells in rows if len(cells) > 1]
    if several and len(rows) > 1:
        raise NotAList(
            f"{_places(several)}: several columns, and no header that names the one with the symbols",
            "write a line such as symbol,name above them, or one symbol per line, or all in one line",
        )
    for number, cells in rows:
        if len(cells) > 1 and any(cell.isdecimal() or cell.upper() in _EXCHANGES for cell in cells):
            raise NotAList(f"line {number}: several columns, not a list of symbols", "write one symbol per line")
    return [_Cell(number, cell) for number, cells in rows for cell in cells]


def _split(line: _Line, delimiter: str) -> list[str]:
    try:
        (cells,) = csv.reader([line.bare], delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise _invalid_csv(line.number, error) from None
    return [_unquoted(cell) for cell in cells]


def _unquoted(cell: str) -> str:
    """Return a cell without the quotes around it, and those with which Excel keeps a text a text: ="AAPL", 'AAPL."""
    text = cell.strip()
    if found := re.fullmatch(r"""="(.*)"|"(.*)"|'(.*?)'?""", text):
        return next(group for group in found.groups() if group is not None).strip()
    return text


def _places(numbers: Sequence[int]) -> str:
    """Return the numbers of lines: `line 3`, or `lines 3, 5, 8, 9 and 20 more`."""
    return f"line{'s' if len(numbers) > 1 else ''} {few(list(map(str, numbers)), _FEW)}"


# With columns


_SYMBOL_WORDS = frozenset({"symbol", "symbols", "ticker", "tickers", "symbole", "simbolo", "símbolo", "kürzel"})
_OTHER_WORDS = frozenset({"stock", "stocks", "code", "codes", "instrument", "instruments", "security", "securities"})
_TOTALS = frozenset({"total", "totals", "subtotal", "sum", "summe", "gesamt"})
_NAMES_OF_A_COLUMN: tuple[Callable[[int, list[str]], bool], ...] = (
    lambda _, words: len(words) == 1 and words[0] in _SYMBOL_WORDS,
    lambda _, words: not _SYMBOL_WORDS.isdisjoint(words),
    lambda column, words: column == 0 and len(words) == 1 and words[0] in _OTHER_WORDS,
)
"""Which words name a column of symbols, by its place; the first of these that fits any column decides.

The other words count in the first column only: in a later one, `Stock` is the asset type of a row without a header.
"""


def _find_header(lines: Sequence[_Line]) -> _Header | None:
    """Return the header: the first line, or above columns a later one; None without one. Raise NotAList if in doubt."""
    rows = []
    for line in lines[:_PREAMBLE]:
        delimiter = max(_DELIMITERS, key=line.bare.count)
        rows.append((delimiter, tuple(_split(line, delimiter))))
    for names_symbols in _NAMES_OF_A_COLUMN:
        for at, (delimiter, names) in enumerate(rows):
            columns = [i for i, name in enumerate(names) if names_symbols(i, _words(name))]
            if columns and at and not all(_filled(row) < len(names) for _, row in rows[:at]):
                continue  # the lines before it have as many columns: they are no preamble
            if len(columns) > 1:
                both = few([cut(names[column], _MOST_SHOWN) for column in columns])
                raise NotAList(f"line {lines[at].number}: several columns may have the symbols: {both}", "keep one")
            if columns:
                return _Header(at, delimiter, names, columns[0])
    return None


def _filled(row: Sequence[str]) -> int:
    """Return how many columns a row has, without empty ones at its end: programs pad a title to the table's width."""
    return max((number for number, cell in enumerate(row, 1) if cell), default=0)


def _words(name: str) -> list[str]:
    """Return the words of a column's name; none of `Symbol: AAPL`, which is more than a name."""
    return [] if ":" in name.rstrip(" :") else re.findall(r"\w+", name.lower())


def _read_table(lines: Sequence[_Line], header: _Header) -> ReadSymbols:
    """Return the symbols of a table's column. Of LISTING_STATUS, those of active stocks."""
    name = header.names[header.column]
    is_plain = header.names[0].lower() == "symbol" and header.delimiter == ","
    is_listing = is_plain and not {"status", "assetType"}.isdisjoint(header.names)
    cells, blank, totals = [], [], []
    for number, row in _rows(lines[header.at + 1 :], header.delimiter):
        if is_listing and not _is_active_stock(dict(zip(header.names, row, strict=False))):
            continue
        symbol = row[header.column] if header.column < len(row) else ""
        if symbol.lower().strip(" :") in _TOTALS:
            totals.append(number)
        elif symbol:
            cells.append(_Cell(number, symbol))
        elif any(row):
            blank.append(number)
    if totals:
        raise NotAList(f"{_places(totals)}: a total, and no symbol", "remove it from the file")
    before = [line.number for line in lines[: header.at]]
    notes = [f"{_places(before)} left out: before the header"] if before else []
    if blank:
        notes.append(f"{_places(blank)} left out: no symbol in the column {cut(name, _MOST_SHOWN)}")
    read = _read(cells, notes=notes, skips_invalid=is_plain)
    taken = (
        f"{count(len(read.symbols), 'active stock')} taken from the csv"
        if is_listing
        else f"{count(len(read.symbols), 'symbol')} taken from the column {cut(name, _MOST_SHOWN)}"
    )
    return ReadSymbols(read.symbols, (taken, *read.notes))


def _rows(lines: Sequence[_Line], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row, with the line that it ends in: a quoted cell may hold line ends."""
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for line in lines:
            number = line.number
            yield f"{line.text}\n"

    try:
        # Strict: otherwise a quote that is not closed makes one cell of all lines up to the next quote.
        for row in csv.reader(texts(), delimiter=delimiter, skipinitialspace=True, strict=True):
            yield number, [_unquoted(cell) for cell in row]
    except csv.Error as error:
        raise _invalid_csv(number, error) from None


def _invalid_csv(number: int, error: csv.Error) -> NotAList:
    return NotAList(f"line {number}: invalid csv: {error}", 'a quote within quotes is written twice: "the ""A"" share"')


def _is_active_stock(row: dict[str, str]) -> bool:
    return (row.get("status", "Active"), row.get("assetType", "Stock")) == ("Active", "Stock")

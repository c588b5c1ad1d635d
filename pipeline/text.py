"""Text for people: made harmless to the terminal or spreadsheet that shows it, or shortened to fit."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Protocol


class Writable(Protocol):
    """A file, or what else has `write`."""

    def write(self, text: str, /) -> object: ...


def printable(text: str, *, kept: str = "") -> str:
    """Return the text with each control character written as its escape, except for those `kept`.

    Control characters, changes of direction and unusual line ends can move a terminal's cursor or forge a line.
    Spaces of every kind stay: company names contain no-break spaces.
    """
    if text.isprintable():
        return text
    return "".join(c if c in kept or _shows(c) else repr(c)[1:-1] for c in text)


def _shows(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


_ACTIVE = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters that JSON does not escape although terminals act on them, and changes of direction."""


def printable_json(json_text: str) -> str:
    """Return JSON of the same value with the remaining control characters escaped, safe for a terminal."""
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""What formulas begin with, also in the full width that spreadsheets of East Asia take for the same."""


def quote_formula(cell: object) -> object:
    """Return the cell with a quote before text that a spreadsheet would run as a formula. Numbers stay as they are."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell


def write_csv(file: Writable, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write names and rows as CSV without formulas. The file must not translate line ends (`newline=""`)."""
    usual = csv.writer(file, lineterminator="\n")
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    usual.writerow(names)
    for row in rows:
        cells = [quote_formula(cell) if cell.__class__ is str else cell for cell in row]
        # Before Python 3.13 a lone \r is not quoted, and readers end the row there.
        writer = quoting if [cell for cell in cells if cell.__class__ is str and "\r" in cell] else usual
        writer.writerow(cells)


def few(names: Sequence[str], most: int = 8) -> str:
    """Return up to `most` names, joined by commas, and how many more there are: `AAPL, IBM and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun: `1 line`, `2,000 lines`. `nouns` is the plural, if not the noun and an s."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def cut(text: str, longest: int) -> str:
    """Return the text in at most `longest` characters, the last three of them dots where it was longer."""
    return text if len(text) <= longest else f"{text[: longest - 3].rstrip()}..."

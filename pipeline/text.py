"""Text for people: made harmless to the terminal or spreadsheet that shows it, or shortened to fit."""

import csv
import json
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


_ACTIVE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What JSON does not escape although terminals act on it, or show nothing: control characters, changes of direction."""


def printable_json(json_text: str) -> str:
    """Return JSON of the same value with the remaining control characters escaped, safe for a terminal."""
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return _ACTIVE.sub(_json_escape, json_text)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def ascii_json(json_text: str) -> str:
    """Return JSON of the same value in which every character but those of ASCII is escaped."""
    return _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], json_text)


_NOT_ASCII = re.compile(r"[^ -~]+")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""What formulas begin with, also in the full width that spreadsheets of East Asia take for the same."""


def begins_formula(text: str) -> bool:
    """Return whether a spreadsheet would run a text as a formula."""
    return text.startswith(_FORMULA)


def quote_formula(cell: object) -> object:
    """Return the cell with a quote before text that a spreadsheet would run as a formula. Numbers stay as they are."""
    if isinstance(cell, str) and begins_formula(cell):
        return f"'{cell}"
    return cell


def write_csv(file: Writable, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write names and rows as CSV without formulas. The file must not translate line ends (`newline=""`)."""
    usual = csv.writer(file, lineterminator="\n")
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    usual.writerow([quote_formula(name) for name in names])
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


def without_middle(text: str, longest: int) -> str:
    """Return the text in at most `longest` characters: of a longer one the start and the end, with dots between."""
    if len(text) <= longest:
        return text
    start = (longest - 3) * 2 // 3
    return f"{text[:start]}...{text[len(text) - (longest - 3 - start) :]}"


def encodable(text: str) -> str:
    """Return the text with each lone surrogate written as its escape: bytes that are not UTF-8 come as such."""
    return text.encode(errors="backslashreplace").decode()


LONGEST_NAME = 80
"""Characters of a name or value from outside that a message repeats. The name of a key's variable has up to 66."""


def shown(name: str) -> str:
    """Return a name from outside as a message repeats it: in at most 80 characters."""
    return cut(name, LONGEST_NAME)


def quoted(value: object) -> str:
    """Return a value from outside as a message repeats it: as Python writes it, in at most 80 characters."""
    start = value[: LONGEST_NAME + 1] if isinstance(value, str) else value
    return cut(repr(start), LONGEST_NAME)

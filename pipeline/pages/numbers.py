"""Numbers: values as people read them, 3.49 T or 4.1 %, each with what it is exactly."""

from dataclasses import dataclass
from datetime import date
from math import floor, isfinite, log10
from typing import NamedTuple

from pipeline.model.fields import Field, Kind
from pipeline.model.values import Value
from pipeline.pages.moments import day_text

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_NARROW = "\u202f"
"""A no-break space between a number and what belongs to it."""
_MINUS = "\u2212"
_ROUNDS_UP = 0.9995
"""From this fraction of a scale on, three digits show the scale itself: 999,600,000 is 1.00 B."""
_MOST_MORE = 15
"""Digits that are shown besides the usual three, to tell two values apart."""
_LARGEST = 1e18
"""A larger number is written with its exponent."""


_SHOUTED = frozenset({"sector", "industry"})
"""Columns whose texts the API writes in capitals."""

_ABBREVIATIONS = frozenset({"E&P", "R&D", "REIT", "REITS", "IT", "US", "UK", "TV", "NEC", "MLP"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as a page shows it."""

    text: str
    """Short, for people."""
    exact: str
    """For programs, in `<data>`: all digits, and no unit."""
    title: str
    """All digits, with the unit: shown on hover."""
    kind: Kind
    """TEXT, DATE, or a number's."""

    @property
    def is_number(self) -> bool:
        """Whether it stands on the right of its column."""
        return self.kind in (Kind.INTEGER, Kind.REAL)


def shown(field: Field, value: Value | date) -> Shown | None:
    """Return how a field's value is shown; None if there is none. A text in a field of numbers is shown as it is."""
    if value is None:
        return None
    if isinstance(value, date):
        return Shown(day_text(value), value.isoformat(), value.isoformat(), Kind.DATE)
    if isinstance(value, str):
        return _of_text(field, value)
    return _of_number(field, value)


def shown_pair(field: Field, before: Value | date, after: Value | date) -> tuple[Shown | None, Shown | None]:
    """Return how two values are shown beside each other: with as many digits as it takes to tell them apart."""
    short = shown(field, before), shown(field, after)
    if before == after or not (isinstance(before, int | float) and isinstance(after, int | float)):
        return short
    pairs = ((_of_number(field, before, more), _of_number(field, after, more)) for more in range(_MOST_MORE + 1))
    return next((pair for pair in pairs if pair[0].text != pair[1].text), short)


def _of_number(field: Field, value: float, more: int = 0) -> Shown:
    return Shown(_short(field.unit, value, more), plain(value), _title(field.unit, value), field.kind)


def _of_text(field: Field, value: str) -> Shown:
    if field.kind is Kind.DATE:
        try:
            return Shown(day_text(date.fromisoformat(value)), value, value, Kind.DATE)
        except ValueError:
            pass
    return Shown(quiet(value) if field.column in _SHOUTED else value, value, value, Kind.TEXT)


def quiet(text: str) -> str:
    """Return a text that is all capitals as people write it: `Financial services`, `Oil & gas E&P`."""
    if not text.isupper():
        return text
    words = [word if word in _ABBREVIATIONS else word.lower() for word in text.split(" ")]
    return " ".join([words[0].capitalize() if words[0].islower() else words[0], *words[1:]])


def is_numeric(field: Field) -> bool:
    """Whether a column of the field is one of numbers."""
    return field.kind in (Kind.INTEGER, Kind.REAL)


def _short(unit: str, value: float, more: int = 0) -> str:
    """Return a number with its unit, short; with some more digits than usual."""
    match unit:
        case "fraction":
            return percent(value, more)
        case "percent points":
            return percent(value / 100, more)
        case "ratio" if abs(value) < 1e6:
            return to_digits(value, 3 + more, least=more + (2 if abs(value) < 10 else 1))
        case "USD per share" | "reporting currency per share" if abs(value) < 1e6:
            return signed(f"{abs(value):,.{2 + more}f}", value)
        case _:
            return scaled(value, more)


def scaled(value: float, more: int = 0) -> str:
    """Return a number to three digits, in thousands of thousands: `3.49 T`, `412 M`, `12,345`, `0.27`."""
    size = abs(value)
    if not isfinite(size) or size >= _LARGEST:
        return f"{value:.{3 + more}g}"
    for divisor, letter in _SCALES:
        if size >= divisor * _ROUNDS_UP:
            return f"{to_digits(value / divisor, 3 + more)}{_NARROW}{letter}"
    return signed(f"{size:,}", value) if isinstance(value, int) else to_digits(value, 3 + more, least=2 + more)


def percent(fraction: float, more: int = 0) -> str:
    """Return a fraction in per cent: `4.1 %`, `0.43 %`, `127 %`."""
    value = fraction * 100
    size = abs(value)
    if size >= 1e6:
        return f"{value:.{2 + more}g}{_NARROW}%"
    places = more + (2 if size < 1 else 1 if size < 100 else 0)
    return f"{signed(f'{size:,.{places}f}', value)}{_NARROW}%"


def change(fraction: float) -> str:
    """Return a relative change with its sign: `+4.1 %`; one that is there is not shown as `0.00 %`."""
    texts = (percent(fraction, more) for more in range(_MOST_MORE))
    text = next((one for one in texts if not fraction or one.strip(f"0.{_NARROW}%")), percent(fraction))
    return text if fraction <= 0 else f"+{text}"


class Difference(NamedTuple):
    """How a value changed, as a page shows it."""

    text: str
    exact: float
    """For programs, as a fraction: of the value before, or of the whole where it is in points."""
    title: str
    """Shown on hover; empty where the text says it all."""


def difference(field: Field | None, before: object, after: object, relative: float | None) -> Difference | None:
    """Return how a value changed, given by which fraction; None where that cannot be told.

    A value in per cent changed by points: per cent of per cent mislead.
    """
    scale = None if field is None else _POINTS.get(field.unit)
    if scale is None or not isinstance(before, int | float) or not isinstance(after, int | float):
        return None if relative is None else Difference(change(relative), relative, "")
    points = round((after - before) * scale, 12)
    text = change(points / 100).removesuffix("%") + "pp"
    title = "percentage points" + ("" if relative is None else f"; {change(relative)} of the value before")
    return Difference(text, points / 100, title)


_POINTS = {"fraction": 100, "percent points": 1}
"""By the unit of a field whose values are shown in per cent: what makes points of them."""


def to_digits(value: float, digits: int, *, least: int = 0) -> str:
    """Return a number to some digits, but all before the point, and at least some places after it: `28.4`, `1,234`."""
    size = abs(value)
    if not isfinite(size) or size >= _LARGEST or 0 < size < 1e-4:
        return f"{value:.2g}"
    before = floor(log10(size)) + 1 if size else 1
    if size >= 0.01:
        before = max(before, 1)
    return signed(f"{size:,.{max(digits - before, 0 if size >= 1000 else least)}f}", value)


def signed(size: str, value: float) -> str:
    """Return the text of a number's size with the minus sign of typographers, where the number is negative."""
    return f"{_MINUS}{size}" if value < 0 and size.strip("0.,") else size


def plain(value: float) -> str:
    """Return a number with all its digits, as programs read it."""
    return str(value) if isinstance(value, int) else repr(value).removesuffix(".0")


def _title(unit: str, value: float) -> str:
    exact = f"{value:,}".removesuffix(".0") if isfinite(value) and abs(value) < _LARGEST else plain(value)
    return f"{exact} {unit}" if unit not in ("ratio", "") else exact


def unit_note(field: Field) -> str:
    """Return what to say of a field's unit beside its name; empty where its values say it, as per cent do."""
    return {"USD": "USD", "reporting currency": "reporting currency", "USD per share": "USD/share",
            "reporting currency per share": "reporting currency/share"}.get(field.unit, "")  # fmt: skip


def limit_words(limit: str) -> str:
    """Return a limit of the plan in words: `25/day` is `25 a day`."""
    return limit.replace("/", " a ")


def bytes_text(size: int) -> str:
    """Return a size of a file: `2.28 GB`, `840 kB`."""
    for divisor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= divisor * _ROUNDS_UP:
            return f"{to_digits(size / divisor, 3)}{_NARROW}{unit}"
    return f"{size}{_NARROW}bytes"

"""Values: a field's text from the API parsed to a typed value, and formatted back."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from pipeline.model.fields import Field, Kind

Value = str | int | float | None
"""The value of a column; None where the API says that it has none."""


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MISSING = frozenset({"None", "-"})
SENTINEL_FIELD, SENTINEL = "ReturnOnEquityTTM", "-99999.99"
"""What the API also writes for a missing return on equity."""
_SMALLEST, _LARGEST = -(2**63) + 1, 2**63 - 1  # of one less, SQLite's abs() fails
_DIGITS = 19
"""The most digits of an INTEGER in SQLite."""


def parse_value(field: Field, received: object) -> Value:
    """Return the column's value. None for "no value", and for anything that the column's type cannot hold."""
    if isinstance(received, str):
        if _is_missing(field, received):
            return None
        return _READ[field.kind](received)
    if isinstance(received, (int, float)) and not isinstance(received, bool):
        return _READ[field.kind](_plain(received)) if field.kind in (Kind.INTEGER, Kind.REAL) else None
    return None


def _plain(received: float) -> str:
    """Return a number's text: as it was received, unless only Python's spelling is a usual one, as of 1e00002."""
    text = repr(received)
    return text if _NUMBER.fullmatch(text) else float.__repr__(float(received))


def as_date(field: Field, value: Any) -> Any:
    """Return the date, where the field holds dates and the value is the text of one; else the value."""
    if field.kind is Kind.DATE and isinstance(value, str) and parse_value(field, value) is not None:
        return date.fromisoformat(value)
    return value


def is_valid(field: Field, received: object) -> bool:
    """Whether a received value is what the catalogue expects: a value of the field's type, or "no value"."""
    if isinstance(received, str) and _is_missing(field, received):
        return True
    return parse_value(field, received) is not None


def _is_missing(field: Field, received: str) -> bool:
    return received in _words_for_missing(field)


@cache
def _words_for_missing(field: Field) -> frozenset[str]:
    return _MISSING | {field.missing} | ({SENTINEL} if field.name == SENTINEL_FIELD else frozenset())


def format_value(field: Field, value: Value) -> str:
    """Return the value as the API usually writes it: plain decimals, no trailing ".0", the field's word for missing."""
    if value is None:
        return field.missing
    if isinstance(value, float):
        spelling = repr(value)
        if "e" in spelling:
            spelling = _without_exponent(spelling)
        return spelling.removesuffix(".0")
    return str(value)


def _without_exponent(spelling: str) -> str:
    digits, _, exponent = spelling.partition("e")
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent)
    digits = (whole + fraction).ljust(point, "0")
    return f"{sign}{digits[:point]}" if point > 0 else f"{sign}0.{'0' * -point}{digits}"


def _text(received: str) -> Value:
    return received


def _integer(received: str) -> Value:
    if _NUMBER.fullmatch(received) is None:
        return None
    number = Decimal(received)
    if number.adjusted() > _DIGITS or number != number.to_integral_value():
        return None
    return int(number) if _SMALLEST <= number <= _LARGEST else None


def _real(received: str) -> Value:
    if _NUMBER.fullmatch(received) is None:
        return None  # float() alone would take 'nan', 'infinity', '1_000' and other scripts' digits
    number = float(received)
    return number + 0.0 if abs(number) != float("inf") else None  # SQLite keeps no negative zero


def _date(received: str) -> Value:
    if _DATE.fullmatch(received) is None:
        return None
    try:
        date.fromisoformat(received)
    except ValueError:
        return None
    return received


_READ: dict[Kind, Callable[[str], Value]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.REAL: _real,
    Kind.DATE: _date,
}


# Nearly every document has only usual spellings. One regular expression per part checks for them, at a third of the
# cost of checking each value. Parts that it does not match go through parse_value and format_value.

SEPARATOR = "\x1f"
_USUAL = {
    Kind.TEXT: rf"[^{SEPARATOR}]*",
    Kind.INTEGER: r"(?:0|-?[1-9][0-9]{0,17})",
    # Up to 15 digits, which a float reproduces exactly; no "-0", and no trailing zero in a fraction.
    Kind.REAL: r"(?:0|-?(?:[1-9][0-9]{0,8}|0(?=\.))(?:\.[0-9]{0,5}[1-9])?)",
    Kind.DATE: (
        r"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    ),
}
CONVERT: dict[Kind, Callable[[str], Value]] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.REAL: float, Kind.DATE: str}


def usual_pattern(field: Field) -> str:
    """Return the pattern of the field's usual spellings: its own word for missing, or a value that is no such word."""
    words = sorted(_words_for_missing(field))
    value = _USUAL[field.kind]
    alike = "|".join(re.escape(word) for word in words if re.fullmatch(value, word))
    unlike = rf"(?!(?:{alike})(?:{SEPARATOR}|\Z))" if alike else ""
    return rf"(?:{field.missing}|{unlike}{value})"

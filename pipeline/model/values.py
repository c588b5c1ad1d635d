"""Values: a received spelling as a typed value, and back."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from pipeline.model.fields import Field, Kind

Value = str | int | float | None
"""What a column holds; None where the API says that it has no value."""


# Values


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MISSING = frozenset({"None", "-"})
_SENTINEL = {"ReturnOnEquityTTM": "-99999.99"}
"""What the API writes for a return on equity that it lacks, besides its words for missing."""
_SMALLEST, _LARGEST = -(2**63) + 1, 2**63 - 1  # of one less, SQLite's abs() fails
_DIGITS = 19
"""What an INTEGER of SQLite holds."""


def parse_value(field: Field, received: object) -> Value:
    """Return the column's value of what was received.

    None for "no value", and for what the column's type cannot hold.
    """
    if isinstance(received, str):
        if _is_missing(field, received):
            return None
        return _READ[field.kind](received)
    if isinstance(received, (int, float)) and not isinstance(received, bool):
        return _READ[field.kind](repr(received)) if field.kind in (Kind.INTEGER, Kind.REAL) else None
    return None


def is_valid(field: Field, received: object) -> bool:
    """Whether a received value is one the catalogue expects: a value of the field's type, or "no value"."""
    if isinstance(received, str) and _is_missing(field, received):
        return True
    return parse_value(field, received) is not None


def _is_missing(field: Field, received: str) -> bool:
    return received in _MISSING or received in (field.missing, _SENTINEL.get(field.name))


def format_value(field: Field, value: Value) -> str:
    """Return the value as the API usually spells it: plain decimals, no trailing ".0", its own word for missing."""
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


# The usual spellings, which nearly every document has throughout: told by one regular expression for a part, at a
# third of the cost of looking at each value. What it does not match goes the long way round, through read and write.

SEPARATOR = "\x1f"
_USUAL = {
    Kind.TEXT: rf"[^{SEPARATOR}]*",
    Kind.INTEGER: r"(?:0|-?[1-9][0-9]{0,17})",
    # 15 digits at most, which a float gives back as they were; no "-0", and no zero at the end of a fraction.
    Kind.REAL: r"(?:0|-?(?:[1-9][0-9]{0,8}|0(?=\.))(?:\.[0-9]{0,5}[1-9])?)",
    Kind.DATE: (
        r"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    ),
}
CONVERT: dict[Kind, Callable[[str], Value]] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.REAL: float, Kind.DATE: str}


def usual_pattern(field: Field) -> str:
    """Return the pattern of the field's usual spellings: its own word for missing, or a value and no other's word."""
    words = sorted({*_MISSING, field.missing, _SENTINEL.get(field.name, "-")})
    value = _USUAL[field.kind]
    alike = "|".join(re.escape(word) for word in words if re.fullmatch(value, word))
    unlike = rf"(?!(?:{alike})(?:{SEPARATOR}|\Z))" if alike else ""
    return rf"(?:{field.missing}|{unlike}{value})"

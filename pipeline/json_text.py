"""JSON text of values that came as JSON: each number to the letter as it came, whatever a float would make of it.

`1.10`, `1e2`, `-0` and a number with more digits than a float has are read as a `SpelledNumber`, which can be used as a
float and knows its text; every other number is an int or a float, whose text Python gives back. What writes such values
as JSON does it here.
"""

import re
from typing import Any, Self

import msgspec


class SpelledNumber(float):
    """A number in a JSON text that an int or a float would spell otherwise. `str()` of it is its text.

    It equals and sorts by its value, as other numbers do: 1.10 == 1.1.
    """

    __slots__ = ("text",)
    text: str
    """The number as it was received."""

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # a copy is made of the text
        return (self.text,)

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


_LONGEST_INTEGER = 4_000
"""Digits: Python refuses to read more than 4,300, in time proportional to the square."""
_LIKE_FLOAT = re.compile(r"-?[0-9]{1,16}\.[0-9]{1,20}", re.ASCII)


def read_integer(text: str) -> int | SpelledNumber:
    """Return a JSON integer: an int, unless that would lose the sign of `-0` or is too long for Python."""
    return SpelledNumber(text) if text == "-0" or len(text) > _LONGEST_INTEGER else int(text)


def read_real(text: str) -> float:
    """Return a JSON number with a fraction or an exponent: a plain float if that has the same text."""
    if _LIKE_FLOAT.fullmatch(text):  # of others, such as 1e+16, writers of JSON differ
        number = float(text)
        if repr(number) == text:
            return number
    return SpelledNumber(text)


def _as_received(value: object) -> msgspec.Raw:
    if isinstance(value, SpelledNumber):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"no JSON for {type(value).__name__}")


encode_json = msgspec.json.Encoder(enc_hook=_as_received).encode
"""Returns the JSON of a value, without spaces."""
_encode_sorted = msgspec.json.Encoder(enc_hook=_as_received, order="sorted").encode


def spaced_json(value: Any, *, indent: int = 0) -> str:
    """Return the JSON of a value with the spaces that Python's json puts: on one line, or indented."""
    return msgspec.json.format(encode_json(value), indent=indent).decode()


def sorted_json(value: Any) -> str:
    """Return the JSON of a value that is equal for objects with equal members, in any order."""
    return _encode_sorted(value).decode()


def plain(value: Any) -> Any:
    """Return a value of Python's own types, for what writes JSON by itself: its numbers lose their spelling."""
    return msgspec.to_builtins(value, enc_hook=_as_float)


def _as_float(value: object) -> float:
    if isinstance(value, SpelledNumber):
        return float(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def is_spelled(value: Any) -> bool:
    """Whether there is a SpelledNumber in a value."""
    if isinstance(value, dict):
        return any(map(is_spelled, value.values()))
    if isinstance(value, list):
        return any(map(is_spelled, value))
    return isinstance(value, SpelledNumber)

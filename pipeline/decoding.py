"""Decoding: JSON as a value of one type, or one error, whatever the bytes are.

Files that this program wrote are not trusted either: a disk, a person or another program may have changed them.
"""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pipeline.errors import Undecodable
from pipeline.json_text import encode_json, read_integer, read_real
from pipeline.text import cut

T = TypeVar("T")

_ERRORS = (ValueError, RecursionError, OverflowError)
"""All that decoding raises: msgspec's and json's errors and UnicodeError are ValueErrors."""
_LONGEST_REASON = 120
"""Characters: the errors of msgspec repeat what they found."""
_AT = " - at `$"
_BYTE = re.compile(r"\(byte ([0-9]{1,20})\)")
_WRONG_TYPE = re.compile(r"Expected `([^`]{1,40})`, got `([^`]{1,40})`")


def decoder(kind: type[T]) -> Callable[[bytes | str], T]:
    """Return a function from JSON to a value of this type, which raises Undecodable for anything else.

    Of a key given twice it takes the last. A `msgspec.Raw` in the type is not checked to be UTF-8.
    """
    decode = msgspec.json.Decoder(kind).decode

    def decoded(text: bytes | str) -> T:
        try:
            return decode(text)
        except _ERRORS as error:
            raise Undecodable(_reason(error)) from None

    return decoded


def converted(value: Any, kind: Any, *, strict: bool) -> Any:
    """Return a decoded value as a type; unless `strict`, a text may spell a number. Raise Undecodable if it is none."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except _ERRORS as error:
        raise Undecodable(_reason(error)) from None


def decode_object(text: str) -> dict[str, Any]:
    """Return a JSON object, each number as it is spelled. Raise Undecodable for anything else.

    It takes the last of a key given twice, and refuses what is nested deeper than any document that was taken.
    """
    try:
        value = _loads(text)
        if "\\u" in text:
            encode_json(value)  # raises UnicodeEncodeError for a lone surrogate, which nothing could write
    except _ERRORS as error:
        raise Undecodable(_reason(error)) from None
    if not isinstance(value, dict):
        raise Undecodable("not a JSON object")
    if text.count("{") + text.count("[") > _DEEPEST and depth_of(value) > _DEEPEST:
        raise Undecodable("nested too deeply")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid number {name}")


_loads = json.JSONDecoder(parse_constant=_no_constant, parse_float=read_real, parse_int=read_integer).decode
_DEEPEST = 100
"""Nothing that the API sent and `api.responses` took is half as deep, and Python can write it wherever it is called."""


def depth_of(value: Any) -> int:
    """Return how many lists and objects are around the innermost value."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [member for one in level for member in (one.values() if isinstance(one, dict) else one)]
    return depth


def split_reason(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return what msgspec says is wrong, and where: `symbols[0]`; empty where the value is wrong as a whole."""
    problem, at, place = str(error).rpartition(_AT)
    return (problem, place.removeprefix(".").removesuffix("`")) if at else (str(error), "")


def _reason(error: Exception) -> str:
    """Return why the text cannot be decoded and, as far as the error says it, at which byte."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate, which is no character"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.start})"
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        at = _BYTE.search(str(error)[-_LONGEST_REASON:])
        return f"broken JSON at byte {at[1]}" if at else "broken JSON: it is cut off"
    reason = cut(str(error), _LONGEST_REASON)
    return _WRONG_TYPE.sub(r"should be a JSON \1, not \2", reason)

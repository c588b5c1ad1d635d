"""Files of many documents: in an array, in an object by symbol, or one after another."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.decoding import decoder
from pipeline.errors import Undecodable

_DEEPEST = 3
"""Containers around the documents, as in {"updated": "2024-03-14", "companies": {"IBM": {...}}}."""
_LIKE_SYMBOL = re.compile(r"(?=.*[A-Z])[^a-z]{1,32}")
"""Keys such as `data` or `2024-03-14` are no symbols, although the API could list them."""

_SPACE = re.compile(r"[ \t\r\n]*")


class Item(NamedTuple):
    """A document in a file of many."""

    name: str
    """Its key, or its number from 1."""
    symbol: str | None
    """The document's own, or its key, if that can be one."""
    content: bytes


class _Document(msgspec.Struct):
    symbol: Any = msgspec.field(name="Symbol", default=None)


_array = decoder(list[msgspec.Raw])
_object = decoder(dict[str, msgspec.Raw])
_document = decoder(_Document)
_next_value = json.JSONDecoder().raw_decode


def symbol_in(content: bytes) -> str | None:
    """Return the symbol that a document names; None if it names none."""
    try:
        symbol = _document(content).symbol
    except Undecodable:
        return None
    return symbol if isinstance(symbol, str) else None


def holds_many(content: bytes) -> bool:
    """Return whether a file holds several documents that name their symbols, or an array."""
    try:
        found = items(content)
    except Undecodable:
        return False
    return content.lstrip()[:1] == b"[" or len([one for one in found if one.symbol is not None]) > 1


def items(content: bytes) -> list[Item]:
    """Return the documents of a file. Raise Undecodable if it holds none."""
    try:
        return list(_inside(content, "1", _DEEPEST))
    except Undecodable as error:
        found = _in_turn(content)
        if len(found) > 1:
            return found
        raise error from None


def _inside(content: bytes, name: str, depth: int) -> Iterator[Item]:
    """Yield the documents of an array or object, or itself. Raise Undecodable for any other content."""
    if content.lstrip()[:1] == b"[":
        for number, value in enumerate(_array(content), 1):
            yield _item(str(number), bytes(value))
        return
    members = {key: bytes(value) for key, value in _object(content).items()}
    objects = {key: value for key, value in members.items() if value[:1] == b"{"}
    containers = {key: value for key, value in members.items() if value[:1] in (b"{", b"[")}
    if "Symbol" in members or not containers:
        yield _item(name, content)
    elif any(map(symbol_in, objects.values())) or len(members) == len(objects) > 1:
        yield from (_item(key, value) for key, value in objects.items())
    elif len(containers) == 1 and depth > 1:
        ((key, inner),) = containers.items()
        yield from _inside(inner, key, depth - 1)
    else:
        raise Undecodable("documents should be in an array, in an object by symbol, or one after another")


def _in_turn(content: bytes) -> list[Item]:
    """Return objects that follow each other, on lines or not; none if there is anything else."""
    found: list[Item] = []
    try:
        text = content.decode()
        start = _after_space(text, 0)
        while start < len(text):
            value, end = _next_value(text, start)
            if not isinstance(value, dict):
                return []
            found.append(_item(str(len(found) + 1), text[start:end].encode()))
            start = _after_space(text, end)
    except (ValueError, RecursionError):
        return []
    return found


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _item(name: str, content: bytes) -> Item:
    return Item(name, symbol_in(content) or (name if _LIKE_SYMBOL.fullmatch(name) else None), content)

"""Documents: an overview split into typed parts, joined again exactly, and compared with another."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec

from pipeline.decoding import decode_object, decoder
from pipeline.errors import Undecodable
from pipeline.json_text import sorted_json, spaced_json
from pipeline.model.fields import DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field
from pipeline.model.symbols import Symbol
from pipeline.model.values import CONVERT, SEPARATOR, Value, format_value, parse_value, usual_pattern

Document = dict[str, Any]
"""An overview as received: a JSON object, keys in their order."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A document that the API sent as the overview of `symbol`."""

    symbol: Symbol
    document: Document


@dataclass(frozen=True, slots=True)
class Parts:
    """A document in columns. `extra` is what they do not hold, as JSON text sorted by key, or None.

    `layout` is its keys in order; in the database JSON too.
    """

    profile: tuple[Value, ...]
    reported: tuple[Value, ...]
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


decode_layout = decoder(tuple[str, ...])
"""Returns a layout of its JSON. Raises Undecodable."""
_LONGEST_CACHED = 4_000
"""Characters of a part that caches accept: descriptions reach 2,030, and a hostile text could have a million."""


class _Columns:
    """The fields of one part, parsed together."""

    def __init__(self, fields: tuple[Field, ...], *, cached: int = 0) -> None:
        """`cached` is how many parsed lines to cache: profiles and statements repeat."""
        self.fields = fields
        self._usual_values = lru_cache(cached)(self._convert) if cached else self._convert
        self._all_of = itemgetter(*(field.name for field in fields))
        self._columns = tuple((field.missing, CONVERT[field.kind]) for field in fields)

    @cached_property
    def _are_usual(self) -> Callable[[str], object]:
        """Compile when first used: it takes 7 ms, which commands that only read the database save."""
        return re.compile(SEPARATOR.join(map(usual_pattern, self.fields)), re.ASCII).fullmatch

    def read(self, received: Mapping[str, Any], extra: Document) -> tuple[Value, ...]:
        """Return the values of the fields, and add to `extra` each text that its value would not reproduce."""
        try:
            spellings = self._all_of(received)
        except KeyError:  # documents from before 2025 lack some fields
            spellings = tuple([received.get(field.name, field.missing) for field in self.fields])
        try:
            line = SEPARATOR.join(spellings)
        except TypeError:  # some are not texts
            line = None
        usual = None
        if line is not None:
            usual = (self._usual_values if len(line) <= _LONGEST_CACHED else self._convert)(line)
        if usual is not None:
            return usual
        return tuple([_value(field, spelling, extra) for field, spelling in zip(self.fields, spellings, strict=True)])

    def _convert(self, line: str) -> tuple[Value, ...] | None:
        """Return the values of a line of usual spellings, None if some are not."""
        if not self._are_usual(line):
            return None
        return tuple(
            [
                None if spelling == missing else convert(spelling)
                for spelling, (missing, convert) in zip(line.split(SEPARATOR), self._columns, strict=True)
            ]
        )


def _value(field: Field, spelling: object, extra: Document) -> Value:
    value = parse_value(field, spelling)
    if format_value(field, value) != spelling:
        extra[field.name] = spelling
    return value


_PROFILE = _Columns(PROFILE_FIELDS, cached=1024)
_REPORTED = _Columns(REPORTED_FIELDS, cached=1024)
_DAILY = _Columns(DAILY_FIELDS)


def split_document(overview: Overview) -> Parts:
    """Return the document in columns; `join_document` reverses it exactly."""
    received = overview.document
    layout, foreign = _layout(tuple(received))
    extra = {name: received[name] for name in foreign}
    if received.get("Symbol") != overview.symbol:
        extra["Symbol"] = received.get("Symbol")
    return Parts(
        profile=_PROFILE.read(received, extra),
        reported=_REPORTED.read(received, extra),
        daily=_DAILY.read(received, extra),
        layout=layout,
        extra=_extra_text(extra),
    )


def _extra_text(extra: Document) -> str | None:
    return spaced_json(dict(sorted(extra.items()))) if extra else None


def split_extra(fields: Sequence[Field], extra: str) -> tuple[tuple[Value, ...], str | None]:
    """Return the values of fields whose received values are in an `extra`, and what is left there.

    Both are as if these fields had been in the catalogue when the document was split. Raise Undecodable for what is no
    `extra`.
    """
    received = decode_object(extra)
    left = received.copy()
    for field in fields:
        left.pop(field.name, None)
    values = tuple([_value(field, received.get(field.name, field.missing), left) for field in fields])
    return values, _extra_text(left)


@lru_cache(maxsize=16)
def _layout(keys: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the layout, one object for all documents that share it, and the keys that the catalogue lacks."""
    return keys, frozenset(keys) - FIELDS.keys()


def join_document(symbol: Symbol, parts: Parts) -> Document:
    """Return the document that was split: same keys, same order, every value exactly as received.

    Raise Undecodable if the parts are not what splitting made.
    """
    extra: Document = decode_object(parts.extra) if parts.extra else {}
    usual: dict[str, str] = {"Symbol": symbol}
    for fields, values in (
        (PROFILE_FIELDS, parts.profile),
        (REPORTED_FIELDS, parts.reported),
        (DAILY_FIELDS, parts.daily),
    ):
        usual.update((field.name, format_value(field, value)) for field, value in zip(fields, values, strict=True))
    try:
        return {name: extra[name] if name in extra else usual[name] for name in parts.layout}
    except KeyError as error:
        raise Undecodable(f"a layout with {str(error)[:40]}, which the snapshot's extra lacks") from None


def as_sent(document: Document) -> str:
    """Return the JSON of a document in the layout of the API: a field a line, indented by four, characters as they are.

    So the bytes of a document that came from the API are those that the API sent: every recorded one is laid out so.
    """
    return spaced_json(document, indent=4)


@dataclass(frozen=True, slots=True)
class Version:
    """What identifies a version of a symbol's document: digests of its slow parts, and the rest as it is."""

    profile: bytes
    statement: bytes
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


def version_of(parts: Parts) -> Version:
    """Return the version that consists of these parts."""
    return Version(
        _slow_digest(_PROFILE_COLUMNS, parts.profile), _slow_digest(_REPORTED_COLUMNS, parts.reported),
        parts.daily, parts.layout, parts.extra,
    )  # fmt: skip


_PROFILE_COLUMNS = tuple(field.column for field in PROFILE_FIELDS)
_REPORTED_COLUMNS = tuple(field.column for field in REPORTED_FIELDS)


def _slow_digest(columns: tuple[str, ...], values: tuple[Value, ...]) -> bytes:
    """Return the digest of a part that repeats: from a cache, unless its texts are long."""
    characters = sum([len(value) for value in values if isinstance(value, str)])
    return (_cached_digest if characters <= _LONGEST_CACHED else digest_by_name)(columns, values)


@lru_cache(maxsize=4096)
def _cached_digest(columns: tuple[str, ...], values: tuple[Value, ...]) -> bytes:
    return digest_by_name(columns, values)  # in Python 1 == 1.0, but the values of a column have one type


def same_document(one: Version, other: Version) -> bool:
    """Whether two documents have the same keys and values, in any order."""
    return (
        one.daily == other.daily
        and one.statement == other.statement
        and one.profile == other.profile
        and (one.layout == other.layout or set(one.layout) == set(other.layout))
        and (one.extra == other.extra or _unordered(one.extra) == _unordered(other.extra))
    )


def _unordered(extra: str | None) -> str | None:
    """Return the JSON text with all keys sorted. Text, because in Python 1 == 1.0 == True."""
    return extra and sorted_json(decode_object(extra))


def digest_by_name(columns: Sequence[str], values: Sequence[Value]) -> bytes:
    """Return the digest by which a profile or a statement is stored once: of its values by column.

    The columns are sorted, and those without a value left out: neither their order nor a further column changes it.
    """
    return _digest({column: value for column, value in sorted(zip(columns, values, strict=True)) if value is not None})


def digest_of_layout(keys: tuple[str, ...]) -> bytes:
    """Return the digest by which a layout is stored once."""
    return _digest(keys)


def _digest(content: object) -> bytes:
    """Return 16 bytes: BLAKE2b of msgpack."""
    return blake2b(msgspec.msgpack.encode(content), digest_size=16).digest()

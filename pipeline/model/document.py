"""Documents: an overview split into typed parts and put together again, to the letter."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec

from pipeline.model.fields import DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field
from pipeline.model.symbols import Symbol
from pipeline.model.values import CONVERT, SEPARATOR, Value, format_value, parse_value, usual_pattern

Document = dict[str, Any]
"""An overview as received: a JSON object, keys in the order they came."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A document that the API gave as the overview of `symbol`."""

    symbol: Symbol
    document: Document


@dataclass(frozen=True, slots=True)
class Parts:
    """A document in columns. `extra` is JSON text, sorted by key, or None where the columns say all."""

    profile: tuple[Value, ...]
    reported: tuple[Value, ...]
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


_LONGEST_REMEMBERED = 4_000
"""Characters of a part: descriptions reach 2,030."""


class _Columns:
    """The fields of one part, read together."""

    def __init__(self, fields: tuple[Field, ...], *, remembered: int = 0) -> None:
        """`remembered`: of so many lines the values are kept at hand, where the same come again and again."""
        self.fields = fields
        self._usual_values = lru_cache(remembered)(self._converted) if remembered else self._converted
        self._all_of = itemgetter(*(field.name for field in fields))
        self._columns = tuple((field.missing, CONVERT[field.kind]) for field in fields)

    @cached_property
    def _are_usual(self) -> Callable[[str], object]:
        """Made when first asked for: it takes 7 ms, which a command that only looks at the file can do without."""
        return re.compile(SEPARATOR.join(map(usual_pattern, self.fields)), re.ASCII).fullmatch

    def read(self, received: Mapping[str, Any], extra: Document) -> tuple[Value, ...]:
        """Return the values of the fields, and note in `extra` each whose spelling they would not give back."""
        try:
            spellings = self._all_of(received)
        except KeyError:  # documents of before 2025 lack some
            spellings = tuple([received.get(field.name, field.missing) for field in self.fields])
        try:
            line = SEPARATOR.join(spellings)
        except TypeError:  # not all are texts
            line = None
        if line is None:
            usual = None
        else:
            usual = (self._usual_values if len(line) <= _LONGEST_REMEMBERED else self._converted)(line)
        if usual is not None:
            return usual
        return tuple([_value(field, spelling, extra) for field, spelling in zip(self.fields, spellings, strict=True)])

    def _converted(self, line: str) -> tuple[Value, ...] | None:
        """Return the values of usual spellings, None for others."""
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


_PROFILE = _Columns(PROFILE_FIELDS, remembered=1024)
_REPORTED = _Columns(REPORTED_FIELDS, remembered=1024)
_DAILY = _Columns(DAILY_FIELDS)


# Documents


def split_document(overview: Overview) -> Parts:
    """Return the document in columns; `document` gives it back exactly."""
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
        extra=json.dumps(dict(sorted(extra.items())), ensure_ascii=False) if extra else None,
    )


@lru_cache(maxsize=16)
def _layout(keys: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return a layout, one object for all documents that have it, and which of its keys the catalogue lacks."""
    return keys, frozenset(keys) - FIELDS.keys()


def join_document(symbol: Symbol, parts: Parts) -> Document:
    """Return the document that was shredded: same keys, same order, every value to the letter."""
    extra: Document = json.loads(parts.extra) if parts.extra else {}
    usual: dict[str, str] = {"Symbol": symbol}
    for fields, values in (
        (PROFILE_FIELDS, parts.profile),
        (REPORTED_FIELDS, parts.reported),
        (DAILY_FIELDS, parts.daily),
    ):
        usual.update((field.name, format_value(field, value)) for field, value in zip(fields, values, strict=True))
    return {name: extra[name] if name in extra else usual[name] for name in parts.layout}


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a symbol's document from another: its slow parts by digest, the rest itself."""

    profile: bytes
    statement: bytes
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


def version_of(parts: Parts) -> Version:
    """Return the version that the parts make up."""
    return Version(_slow_digest(parts.profile), _slow_digest(parts.reported), parts.daily, parts.layout, parts.extra)


def _slow_digest(values: tuple[Value, ...]) -> bytes:
    """Return the digest of a part that comes again and again. One of long texts is not kept at hand: it may be huge."""
    characters = sum([len(value) for value in values if isinstance(value, str)])
    return (_digest_at_hand if characters <= _LONGEST_REMEMBERED else digest)(values)


@lru_cache(maxsize=2048)
def _digest_at_hand(values: tuple[Value, ...]) -> bytes:
    return digest(values)  # Python has 1 == 1.0, but the values of a column are of one type


def same_document(one: Version, other: Version) -> bool:
    """Whether two documents have the same keys and the same values, order aside."""
    return (
        one.daily == other.daily
        and one.statement == other.statement
        and one.profile == other.profile
        and (one.layout == other.layout or set(one.layout) == set(other.layout))
        and (one.extra == other.extra or _unordered(one.extra) == _unordered(other.extra))
    )


def _unordered(extra: str | None) -> str | None:
    """Return the text with the keys of nested objects sorted too. Text, because Python has 1 == 1.0 == True."""
    return extra and json.dumps(json.loads(extra), sort_keys=True)


def digest(values: tuple[Value, ...]) -> bytes:
    """Return the 16 bytes under which a profile, a statement or a layout is kept once."""
    return blake2b(msgspec.msgpack.encode(values), digest_size=16).digest()

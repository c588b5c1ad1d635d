"""Changes: what differs between two consecutive snapshots of a company.

A change is a change of value: a new spelling of the same number makes a new snapshot, but no change. A field that the
API starts or stops sending is a change, with any value; so is a symbol that it starts or stops covering. A first
snapshot is not a change, but a suspicious value in it is listed like one.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from pipeline.decoding import decode_object
from pipeline.json_text import SpelledNumber
from pipeline.model.anomalies import (
    CHECKED_COLUMNS,
    JUMP_FACTOR,
    NEVER_ZERO,
    Anomaly,
    find_anomalies,
    quarter_is_over,
)
from pipeline.model.fields import DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Part
from pipeline.model.values import SENTINEL, SENTINEL_FIELD, Value, is_valid
from pipeline.text import quoted


class ChangeKind(StrEnum):
    """How a field, or the coverage of a symbol, changed."""

    CHANGED = "changed"
    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    COVERED = "covered"
    UNCOVERED = "uncovered"
    FIRST = "first"
    """A suspicious value of a symbol's first snapshot."""


class ComparedSnapshot(NamedTuple):
    """A snapshot prepared for comparison: its parts, with the ids of the stored ones."""

    observed_at: str
    confirmed_at: str
    profile_id: int
    statement_id: int
    layout_id: int
    profile: tuple[Value, ...]
    reported: tuple[Value, ...]
    daily: tuple[Value, ...]
    keys: tuple[str, ...]
    extra: str | None


class Difference(NamedTuple):
    """One field that differs."""

    column: str
    part: Part | None
    """None for a field that is not in the catalogue."""
    kind: ChangeKind
    before: Any
    after: Any
    suspicion: Anomaly | None


class Change(NamedTuple):
    """A value, the previous one, and the observations between which it changed."""

    symbol: str
    field: str
    """The column; the API's name for a field that is not in the catalogue; `state` for coverage."""
    part: str | None
    kind: ChangeKind
    before: Any
    after: Any
    change: float | None
    """Relative to the previous value: 0.05 is 5 % more. None unless both are numbers, the previous one not 0."""
    last_confirmed_at: datetime | None
    """When the previous value was last observed; None for a first snapshot, which has none."""
    observed_at: datetime
    """When the new value was first observed."""
    suspicion: Anomaly | None


def parse_fraction(text: str) -> float:
    """Return the relative change that a person wrote: `5%` or `0.05`. Raise ValueError for anything else."""
    if _FRACTION.fullmatch(text) is None:
        raise ValueError(f"invalid fraction {quoted(text)}: use 5% or 0.05")
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


_FRACTION = re.compile(r"[0-9]+(\.[0-9]+)?%|0(\.[0-9]+)?")


def relative_change(before: Any, after: Any) -> float | None:
    """Return the relative change of a number; None if one is not a number, the first is 0, or no float holds it."""
    if type(before) in _NUMBERS and type(after) in _NUMBERS and before:
        try:
            return float((after - before) / abs(before))
        except OverflowError:  # of integers with hundreds of digits
            return None
    return None


_NUMBERS = frozenset({int, float, SpelledNumber})


def differences(before: ComparedSnapshot, after: ComparedSnapshot) -> Iterator[Difference]:
    """Yield what differs between two snapshots, in the order of the catalogue's parts."""
    anomalies = dict(_anomalies(before, after))
    moved = _keys_moved(before.keys, after.keys) if before.layout_id != after.layout_id else _NONE_MOVED
    extra = _Extra(before, after) if before.extra != after.extra or moved is not _NONE_MOVED else _NO_EXTRA
    for fields, was, now in (
        (PROFILE_FIELDS, before.profile, after.profile),
        (REPORTED_FIELDS, before.reported, after.reported),
        (DAILY_FIELDS, before.daily, after.daily),
    ):
        if was is now:
            continue
        for number, (old, new) in enumerate(zip(was, now, strict=True)):
            if old != new:
                field = fields[number]
                if field.name not in moved:
                    yield Difference(
                        field.column,
                        field.part,
                        ChangeKind.CHANGED,
                        old if old is not None else extra.old(field),
                        new if new is not None else extra.new(field),
                        anomalies.get(field.column),
                    )
    if extra is not _NO_EXTRA:
        for one in extra.differences(moved):
            yield one._replace(suspicion=anomalies.get(one.column)) if one.kind is ChangeKind.APPEARED else one


def first_differences(latest_quarter: Value, observed_at: str) -> Iterator[Difference]:
    """Yield what is suspicious about a symbol's first snapshot, of its latest quarter and when it was observed."""
    if not quarter_is_over(latest_quarter, observed_at):
        yield Difference(
            "latest_quarter", Part.REPORTED, ChangeKind.FIRST, None, latest_quarter, Anomaly.QUARTER_NOT_OVER
        )


class _Extra:
    """The differences that columns do not show: fields that are not in the catalogue, and invalid values."""

    def __init__(self, before: ComparedSnapshot | None, after: ComparedSnapshot | None) -> None:
        self._snapshots = before, after
        self._before: dict[str, Any] = decode_object(before.extra) if before and before.extra else {}
        self._after: dict[str, Any] = decode_object(after.extra) if after and after.extra else {}

    def old(self, field: Field) -> Any:
        return _invalid(field, self._before)

    def new(self, field: Field) -> Any:
        return _invalid(field, self._after)

    def differences(self, moved: Mapping[str, ChangeKind]) -> Iterator[Difference]:
        before, after = self._snapshots
        assert before is not None
        assert after is not None
        for name, kind in moved.items():
            field = FIELDS.get(name)
            old = _value(before, name, self._before) if kind is ChangeKind.DISAPPEARED else None
            new = _value(after, name, self._after) if kind is ChangeKind.APPEARED else None
            yield Difference(field.column if field else name, field.part if field else None, kind, old, new, None)
        for name in sorted({*self._before, *self._after} - moved.keys()):
            field = FIELDS.get(name)
            old, new = self._before.get(name), self._after.get(name)
            if field is None:
                if not _same_json(old, new):
                    yield Difference(name, None, ChangeKind.CHANGED, old, new, None)
            elif _value(before, name, {}) is None and _value(after, name, {}) is None:
                old, new = self.old(field), self.new(field)
                if not _same_json(old, new):
                    yield Difference(field.column, field.part, ChangeKind.CHANGED, old, new, None)


_NO_EXTRA = _Extra(None, None)
_NONE_MOVED: dict[str, ChangeKind] = {}


def _same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: in Python True == 1 == 1.0."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _invalid(field: Field, extra: Mapping[str, Any]) -> Any:
    """Return the received value as it was written if it is not valid for the field, else None."""
    received = extra.get(field.name)
    return None if received is None or is_valid(field, received) else received


@lru_cache(maxsize=256)
def _keys_moved(before: tuple[str, ...], after: tuple[str, ...]) -> dict[str, ChangeKind]:
    """Return the fields that only one of the two layouts has."""
    moved = {name: ChangeKind.DISAPPEARED for name in before if name not in after}
    moved |= {name: ChangeKind.APPEARED for name in after if name not in before}
    return moved or _NONE_MOVED


_PLACES: dict[str, tuple[str, int]] = {
    field.column: (part, number)
    for part, fields in (("profile", PROFILE_FIELDS), ("reported", REPORTED_FIELDS), ("daily", DAILY_FIELDS))
    for number, field in enumerate(fields)
}


def _value(snapshot: ComparedSnapshot, name: str, extra: Mapping[str, Any]) -> Any:
    """Return the value of a field by the API's name: its column's, or as it was received."""
    field = FIELDS.get(name)
    if field is None or field.column not in _PLACES:
        return extra.get(name)
    value = column(snapshot, field.column)
    return _invalid(field, extra) if value is None else value


def column(snapshot: ComparedSnapshot, name: str) -> Value:
    """Return the value of a column."""
    part, number = _PLACES[name]
    values: tuple[Value, ...] = getattr(snapshot, part)
    return values[number]


_MARKET_VALUE = _PLACES["market_capitalization"][1]
_CHECKED = tuple((name, *_PLACES[name]) for name in sorted(CHECKED_COLUMNS))
_never_zero = itemgetter(
    *(number for column, (part, number) in _PLACES.items() if part == "daily" and column in NEVER_ZERO)
)


def _anomalies(before: ComparedSnapshot, after: ComparedSnapshot) -> Iterator[tuple[str, Anomaly]]:
    """Yield the columns with an anomaly, each with its anomaly."""
    if not _may_hold_anomaly(before, after):
        return
    was, now = ({name: getattr(one, part)[number] for name, part, number in _CHECKED} for one in (before, after))
    yield from find_anomalies(was, now, observed_at=after.observed_at, is_sentinel=_has_sentinel(after))


def _may_hold_anomaly(before: ComparedSnapshot, after: ComparedSnapshot) -> bool:
    """Whether the rules have to be applied: rarely true, and there may be millions of pairs."""
    return (
        before.statement_id != after.statement_id
        or before.profile_id != after.profile_id
        or before.extra != after.extra
        or daily_may_hold_anomaly(before.daily, after.daily)
    )


def daily_may_hold_anomaly(before: Sequence[Value], after: Sequence[Value]) -> bool:
    """Whether the rules have to be applied to two snapshots that differ in their daily numbers only."""
    was, now = before[_MARKET_VALUE], after[_MARKET_VALUE]
    if isinstance(was, int) and isinstance(now, int) and not was < now * JUMP_FACTOR < was * JUMP_FACTOR * JUMP_FACTOR:
        return True
    return 0 in _never_zero(after)


def _has_sentinel(snapshot: ComparedSnapshot) -> bool:
    extra = snapshot.extra
    return extra is not None and SENTINEL in extra and decode_object(extra).get(SENTINEL_FIELD) == SENTINEL

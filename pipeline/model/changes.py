"""Changes: what differs between one snapshot of a company and the next. Values in, values out.

A change is a change of value: another spelling of the same number is a new snapshot, but no change. A field that the
API begins or ceases to send is one, whatever its value; so is a symbol that it begins or ceases to cover.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from pipeline.model.anomalies import CHECKED_COLUMNS, JUMP_FACTOR, NEVER_ZERO, SENTINEL, Anomaly, find_anomalies
from pipeline.model.fields import DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Part
from pipeline.model.values import Value, is_valid


class ChangeKind(StrEnum):
    """What became of a field, or of a symbol."""

    CHANGED = "changed"
    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    COVERED = "covered"
    UNCOVERED = "uncovered"


class ComparedSnapshot(NamedTuple):
    """A snapshot as it is compared: its parts, with the ids under which the slow ones are kept."""

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
    """None for a field that the catalogue lacks."""
    kind: ChangeKind
    before: Any
    after: Any
    suspicion: Anomaly | None


class Change(NamedTuple):
    """A value, the one before it, and between which looks it changed."""

    symbol: str
    field: str
    """The column; as the API spells it, for a field that the catalogue lacks; `state`, for coverage."""
    part: str | None
    kind: ChangeKind
    before: Any
    after: Any
    change: float | None
    """Relative to the value before: 0.05 is 5 % more. None unless both are numbers, and that before is not 0."""
    last_confirmed_at: datetime
    """When the old value was last seen."""
    observed_at: datetime
    """When the new one was first seen."""
    suspicion: Anomaly | None


def relative_change(before: Any, after: Any) -> float | None:
    """Return by which fraction a number changed; None where that says nothing."""
    if type(before) in _NUMBERS and type(after) in _NUMBERS and before:
        return float((after - before) / abs(before))
    return None


_NUMBERS = frozenset({int, float})


def differences(before: ComparedSnapshot, after: ComparedSnapshot) -> Iterator[Difference]:
    """Yield what differs between two snapshots, in the order of the catalogue's parts."""
    odd = dict(_anomalies(before, after))
    moved = _keys_moved(before.keys, after.keys) if before.layout_id != after.layout_id else _NONE_MOVED
    raw = _Raw(before, after) if before.extra != after.extra or moved is not _NONE_MOVED else _NO_RAW
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
                        old if old is not None else raw.old(field),
                        new if new is not None else raw.new(field),
                        odd.get(field.column),
                    )
    if raw is not _NO_RAW:
        yield from raw.differences(moved)


class _Raw:
    """What the columns of two snapshots do not show: their fields that the catalogue lacks, and illegible spellings."""

    def __init__(self, before: ComparedSnapshot | None, after: ComparedSnapshot | None) -> None:
        self._states = before, after
        self._before: dict[str, Any] = json.loads(before.extra) if before and before.extra else {}
        self._after: dict[str, Any] = json.loads(after.extra) if after and after.extra else {}

    def old(self, field: Field) -> Any:
        return _illegible(field, self._before)

    def new(self, field: Field) -> Any:
        return _illegible(field, self._after)

    def differences(self, moved: Mapping[str, ChangeKind]) -> Iterator[Difference]:
        before, after = self._states
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
                if not _alike(old, new):
                    yield Difference(name, None, ChangeKind.CHANGED, old, new, None)
            elif _value(before, name, {}) is None and _value(after, name, {}) is None:
                old, new = self.old(field), self.new(field)
                if not _alike(old, new):
                    yield Difference(field.column, field.part, ChangeKind.CHANGED, old, new, None)


_NO_RAW = _Raw(None, None)
_NONE_MOVED: dict[str, ChangeKind] = {}


def _alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: Python has True == 1 == 1.0."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _illegible(field: Field, extra: Mapping[str, Any]) -> Any:
    """Return what was received and is no value of the field's kind, as it was spelled; None for "no value"."""
    received = extra.get(field.name)
    return None if received is None or is_valid(field, received) else received


@lru_cache(maxsize=256)
def _keys_moved(before: tuple[str, ...], after: tuple[str, ...]) -> dict[str, ChangeKind]:
    """Return the fields that only one of two layouts has."""
    moved = {name: ChangeKind.DISAPPEARED for name in before if name not in after}
    moved |= {name: ChangeKind.APPEARED for name in after if name not in before}
    return moved or _NONE_MOVED


_PLACES: dict[str, tuple[str, int]] = {
    field.column: (part, number)
    for part, fields in (("profile", PROFILE_FIELDS), ("reported", REPORTED_FIELDS), ("daily", DAILY_FIELDS))
    for number, field in enumerate(fields)
}


def _value(state: ComparedSnapshot, name: str, extra: Mapping[str, Any]) -> Any:
    """Return the value of a field by the API's name: its column's, or what was received."""
    field = FIELDS.get(name)
    if field is None or field.column not in _PLACES:
        return extra.get(name)
    value = column(state, field.column)
    return _illegible(field, extra) if value is None else value


def column(state: ComparedSnapshot, name: str) -> Value:
    """Return the value of a column."""
    part, number = _PLACES[name]
    values: tuple[Value, ...] = getattr(state, part)
    return values[number]


_MARKET_VALUE = _PLACES["market_capitalization"][1]
_SENTINEL_FIELD = "ReturnOnEquityTTM"
_CHECKED = tuple((name, *_PLACES[name]) for name in sorted(CHECKED_COLUMNS))
_never_zero = itemgetter(
    *(number for column, (part, number) in _PLACES.items() if part == "daily" and column in NEVER_ZERO)
)


def _anomalies(before: ComparedSnapshot, after: ComparedSnapshot) -> Iterator[tuple[str, Anomaly]]:
    """Yield the columns with an anomaly, each with its anomaly."""
    if not _may_hold_anomaly(before, after):
        return
    was, now = ({name: getattr(one, part)[number] for name, part, number in _CHECKED} for one in (before, after))
    yield from find_anomalies(was, now, is_sentinel=_has_sentinel(after))


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
    return extra is not None and SENTINEL in extra and json.loads(extra).get(_SENTINEL_FIELD) == SENTINEL

"""Values: what each field of a company holds, since when, and what it held before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pipeline.model.fields import Field
from pipeline.model.values import Value
from pipeline.query.results import Snapshot


@dataclass(frozen=True, slots=True)
class Held:
    """A field of a company, with what it holds."""

    field: Field
    value: Value | date
    since: datetime
    """When it was first seen so."""
    before: Value | date
    """What it was until then; None, too, where it was always so."""
    is_first: bool
    """Whether it was so in the first of the snapshots."""


def held(snapshots: Sequence[Snapshot], fields: Sequence[Field]) -> list[Held]:
    """Return what the newest of some snapshots, the oldest first, holds in each field. There is one at least."""
    return [_held(snapshots, field) for field in fields]


def _held(snapshots: Sequence[Snapshot], field: Field) -> Held:
    column = field.column
    *earlier, newest = snapshots
    value, since = newest.values[column], newest.observed_at
    for snapshot in reversed(earlier):
        if snapshot.values[column] != value:
            return Held(field, value, since, snapshot.values[column], is_first=False)
        since = snapshot.observed_at
    return Held(field, value, since, None, is_first=True)

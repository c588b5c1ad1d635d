"""Headlines: what the feed and its entries are called, in the words of a person."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.model.changes import ChangeKind, parse_fraction
from pipeline.model.fields import ALL, COLUMNS, find_field
from pipeline.model.labels import label
from pipeline.text import cut, few

_MOST_NAMED = 3
"""Companies, or fields, that a headline names."""
_LONGEST_NAME = 60
_COVERAGE = {ChangeKind.COVERED.value: "covered again", ChangeKind.UNCOVERED.value: "not covered any more"}


class Changed(NamedTuple):
    """A row of an answer about changes."""

    symbol: str
    field: str
    part: str | None
    kind: str
    before: Any
    after: Any
    change: float | None
    last_confirmed_at: str | None
    observed_at: str
    suspicion: str | None

    @property
    def label(self) -> str:
        """What people call the field; for one that is not in the catalogue, the API's name."""
        field = None if self.part is None else COLUMNS.get(self.field)
        return self.field if field is None else label(field)

    @property
    def percent(self) -> str:
        """By how much it changed; empty where that is not known."""
        return "" if self.change is None else f"{self.change:+.2%}"


class Filter(NamedTuple):
    """What a feed is narrowed to, as it was asked for."""

    symbols: Sequence[str]
    fields: Sequence[str]
    part: str | None
    min_change: str
    suspicious: bool
    universe: bool


def of_feed(only: Filter, named: str | None, *, is_invented: bool) -> str:
    """Return the title of a feed. `named`: the instant of its address, if that names one."""
    companies = f" of {few([one.upper() for one in only.symbols], _MOST_NAMED)}" if only.symbols else ""
    fields = dict.fromkeys(label(find_field(one)) for one in only.fields if one != ALL)
    details = [
        few(list(fields), _MOST_NAMED),
        f"{only.part} fields" if only.part else "",
        f"by {100 * parse_fraction(only.min_change):g}% or more" if parse_fraction(only.min_change) else "",
        "configured companies" if only.universe else "",
    ]
    about = f"{'Suspicious changes' if only.suspicious else 'Changes'}{companies}"
    text = ": ".join(filter(None, (about, ", ".join(filter(None, details)))))
    at = "" if named is None else f", as of {named}"
    return f"{text}{at}{' (invented data)' if is_invented else ''}"


def of_entry(company: str, name: str | None, changes: Sequence[Changed], *, is_invented: bool) -> str:
    """Return the title of an entry: the company, and its first changes."""
    about = ", ".join(filter(None, (cut(name, _LONGEST_NAME) if name else "", "invented" if is_invented else "")))
    others = len(changes) - _MOST_NAMED
    said = ", ".join(map(_said, changes[:_MOST_NAMED]))
    return f"{company}{f' ({about})' if about else ''}: {said}{f', {others} more' if others > 0 else ''}"


def _said(one: Changed) -> str:
    if one.kind in _COVERAGE:
        return _COVERAGE[one.kind]
    return f"{one.label} {one.percent}".rstrip() + ("" if one.suspicion is None else " (suspicious)")

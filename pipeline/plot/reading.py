"""Reading: what a plot shows of companies, made of the answers to questions about them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.instants import from_text
from pipeline.model.changes import Change, ChangeKind
from pipeline.model.fields import Field
from pipeline.model.invented import is_invented
from pipeline.plot.series import Company, Point, Series, Spell, interrupted
from pipeline.query.results import Answer, Snapshot

Suspicious = Collection[tuple[str, str, datetime]]
"""Values that the market does not explain: symbol, column, and when each was first observed."""


def company_of(snapshot: Snapshot) -> Company:
    """Return the company as a snapshot with `name` and `description` has it."""
    name = snapshot["name"]
    return Company(snapshot.symbol, name if isinstance(name, str) else None, is_invented(snapshot["description"]))


def series_of(
    company: Company, field: Field, snapshots: Sequence[Snapshot], spells: Sequence[Spell], suspicious: Suspicious
) -> Series:
    """Return the values of a field in the snapshots of a company, interrupted where the API did not cover it."""
    points = [Point(one.observed_at, one.confirmed_at, number(one.values[field.column])) for one in snapshots]
    return Series(
        company,
        field,
        interrupted(points, spells),
        frozenset(
            one.observed_at for one in snapshots if (company.symbol, field.column, one.observed_at) in suspicious
        ),
    )


def marked(answer: Answer[Change]) -> list[Change]:
    """Return the changes that are marked in a plot: those that are suspicious, or of coverage.

    The others, thousands for each of them, do not become objects.
    """
    names = answer.names
    kind, suspicion, *instants = map(names.index, ("kind", "suspicion", "last_confirmed_at", "observed_at"))
    found: list[Change] = []
    for row in answer.rows():
        if row[suspicion] is not None or row[kind] in _OF_COVERAGE:
            values = [
                row[place] if place not in instants or row[place] is None else from_text(row[place])
                for place in range(len(row))
            ]
            found.append(Change._make(values)._replace(kind=ChangeKind(row[kind])))
    return found


_OF_COVERAGE = frozenset({ChangeKind.COVERED.value, ChangeKind.UNCOVERED.value})


def suspicious_in(changes: Iterable[Change]) -> set[tuple[str, str, datetime]]:
    """Return which values are suspicious, by the changes that led to them."""
    return {(change.symbol, change.field, change.observed_at) for change in changes if change.suspicion is not None}


def spells_in(changes: Iterable[Change]) -> tuple[Spell, ...]:
    """Return when the API did not cover a company. A spell that has not ended ends where it begins."""
    spells: list[Spell] = []
    for change in changes:
        if change.last_confirmed_at is None:
            continue
        if change.kind is ChangeKind.UNCOVERED:
            spells.append(Spell(change.observed_at, change.observed_at, change.last_confirmed_at, None))
        elif change.kind is ChangeKind.COVERED and spells:
            spells[-1] = replace(spells[-1], end=change.last_confirmed_at, seen_again=change.observed_at)
    return tuple(spells)


def number(value: object) -> float | None:
    """Return a value if it is a number."""
    return value if isinstance(value, (int, float)) else None

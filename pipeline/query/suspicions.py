"""Suspicions: which changes of a company's snapshots the market cannot explain, beside each snapshot."""

from datetime import datetime

from pipeline.instants import to_text
from pipeline.model.fields import Kind
from pipeline.query.history import History
from pipeline.query.results import Answer, Column, Snapshot

SUSPICIONS = Column("suspicions", Kind.TEXT)


def with_suspicions(
    history: History,
    symbol: str,
    answer: Answer[Snapshot],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Answer[Snapshot]:
    """Return the answer with a column of each snapshot's suspicious changes, as texts `field: suspicion`.

    `since` and `until`: the interval of the answer.
    """
    found: dict[str, list[str]] = {}
    for change in history.changes([symbol], since=since, until=until, suspicious=True):
        found.setdefault(to_text(change.observed_at), []).append(f"{change.field}: {change.suspicion}")
    place = answer.names.index("observed_at")
    return Answer(
        (*answer.columns, SUSPICIONS),
        lambda: ((*row, found.get(row[place], [])) for row in answer.rows()),
        Snapshot,
    )

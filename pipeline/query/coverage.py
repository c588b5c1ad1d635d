"""Coverage: when the API began or ceased to cover a company."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.instants import LATEST
from pipeline.model.changes import ChangeKind
from pipeline.model.renames import Span, whole
from pipeline.query.results import Row


@dataclass(frozen=True, slots=True)
class Coverage:
    """Finds where coverage changed, as rows of an answer about changes."""

    _db: sqlite3.Connection

    def changes(self, symbols: Sequence[str], since: str, until: str) -> list[Row]:
        """Return where the API began or ceased to cover a symbol."""
        query = """
            SELECT uncovered.symbol, uncovered.at
              FROM json_each(?) AS wanted CROSS JOIN uncovered ON uncovered.symbol = wanted.value AND at <= ?
        """
        uncovered: dict[str, list[str]] = {}
        for symbol, at in self._db.execute(query, (json.dumps(symbols), until)):
            uncovered.setdefault(symbol, []).append(at)
        return [row for symbol, at in uncovered.items() for row in self._turns((whole(symbol),), at, since, until)]

    def company_changes(self, spans: Sequence[Span], since: str, until: str) -> list[Row]:
        """Return where the API began or ceased to cover one company.

        That it does not cover an old symbol counts only until it has a snapshot of a newer one.
        """
        query = "SELECT at FROM uncovered WHERE symbol = ? AND at BETWEEN ? AND min(?, ?)"
        uncovered: set[str] = set()
        newer_since = LATEST
        for span in reversed(spans):
            last = min(span.last, newer_since)
            uncovered |= {at for (at,) in self._db.execute(query, (span.symbol, span.since, last, until))}
            newer_since = min(newer_since, self._covered_between(span, "", LATEST, until)[0] or LATEST)
        return list(self._turns(spans, sorted(uncovered), since, until))

    def _turns(self, spans: Sequence[Span], uncovered: list[str], since: str, until: str) -> Iterator[Row]:
        """Yield the coverage changes of a company, given the instants at which it was found uncovered."""
        company = spans[0].company
        for after, before in zip(["", *uncovered], [*uncovered, LATEST], strict=True):
            covered = [self._covered_between(span, after, before, until) for span in spans]
            first = min((first for first, _ in covered if first is not None), default=None)
            last = max((last for _, last in covered if last is not None), default=None)
            if first is None or last is None:
                continue
            if after and since <= first <= until:
                yield _coverage_row(company, ChangeKind.COVERED, after, first)
            if before is not LATEST and since <= before <= until:
                yield _coverage_row(company, ChangeKind.UNCOVERED, last, before)

    def _covered_between(self, span: Span, after: str, before: str, until: str) -> tuple[str | None, str | None]:
        """Return the first and the last observation of a span that found the symbol covered, up to `until`.

        `after` and `before`: the observations next to it that did not.

        Of two at one instant, the one that found it covered counts as the later, as it does for the symbol's state.
        """
        query = """
            SELECT min(at), max(at) FROM (
                SELECT min(observed_at) AS at FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT max(observed_at) FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT min(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
                UNION ALL
                SELECT max(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
            )
        """
        parameters = {
            "symbol": span.symbol,
            "after": max(after, span.since),
            "before": min(before, span.until),
            "until": until,
        }
        first, last = self._db.execute(query, parameters).fetchone()
        return first, last


def _coverage_row(symbol: str, kind: ChangeKind, last_confirmed_at: str, observed_at: str) -> Row:
    before, after = ("covered", "unknown") if kind is ChangeKind.UNCOVERED else ("unknown", "covered")
    return symbol, "state", None, kind.value, before, after, None, last_confirmed_at, observed_at, None

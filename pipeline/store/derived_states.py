"""Derived states: what is known of a symbol, as all its observations make it. Reads only: `symbol_states` writes."""

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from pipeline import instants
from pipeline.model.outcomes import Outcome
from pipeline.store.reader import SymbolState

MAX_BACKOFF_DAYS = 30
"""A symbol that is not covered is tried again after 1 day, then 2, 4, 8, 16, and then every 30 (`scheduled_days`)."""
DAYS_UNTIL_BACKOFF = 7
"""A symbol that has snapshots stays due for so long first: the API has answered `{}` for whole exchanges."""


class Evidence(NamedTuple):
    """What the file holds of one symbol's observations."""

    symbol: str
    seen: str | None
    """When its overview was last observed."""
    gone: str | None
    """When the API last said that it does not cover the symbol."""
    first_seen: str | None
    """The first observation of an overview after `gone`."""
    first_gone: str | None
    """The first time after `seen` that it was not covered."""
    times_gone: int
    """How often that was observed up to `gone`; if there is an overview, only from a week after `first_gone` on."""
    is_new: bool
    """Whether the overview observed at `seen` began a new snapshot."""
    snapshots: int


EVIDENCE = """
    -- Observations after this instant come from a clock that was ahead, and must not hide what is observed now.
    WITH credible AS (
        SELECT max(:noted_at,
                   coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day')
                               FROM runs ORDER BY id DESC LIMIT 1), '9999')) AS until
    ),
    -- The last credible observation of an overview: the beginning of a snapshot, or a confirmation (`looks`).
    -- If there is none, the newest, credible or not.
    last_seen AS (
        SELECT value AS symbol,
               coalesce(
                   nullif(max(
                       coalesce((SELECT max(observed_at) FROM snapshots
                                  WHERE symbol = value AND observed_at <= credible.until), ''),
                       coalesce((SELECT max(at) FROM looks WHERE symbol = value AND at <= credible.until), '')), ''),
                   (SELECT confirmed_at FROM snapshots WHERE symbol = value ORDER BY observed_at DESC LIMIT 1)) AS seen,
               (SELECT max(at) FROM uncovered WHERE symbol = value AND at <= credible.until) AS gone
          FROM json_each(:symbols), credible
    ),
    first_gone AS (
        SELECT symbol,
               (SELECT min(at) FROM uncovered AS u
                 WHERE u.symbol = last_seen.symbol AND at > coalesce(seen, '')) AS at
          FROM last_seen
    )
    -- Each subquery is a seek in a primary key, but for the two that count.
    SELECT symbol, seen, gone,
           min(coalesce((SELECT min(at) FROM looks AS l
                          WHERE l.symbol = last_seen.symbol AND at > coalesce(gone, '')), seen),
               coalesce((SELECT min(observed_at) FROM snapshots AS s
                          WHERE s.symbol = last_seen.symbol AND observed_at > coalesce(gone, '')), seen)),
           first_gone.at,
           (SELECT count(*) FROM uncovered AS u
             WHERE u.symbol = last_seen.symbol AND u.at <= gone
               AND u.at >= iif(seen IS NULL, '', strftime('%Y-%m-%dT%H:%M:%fZ', first_gone.at, :until_backoff))),
           EXISTS (SELECT 1 FROM snapshots AS s WHERE s.symbol = last_seen.symbol AND observed_at = seen),
           (SELECT count(*) FROM snapshots AS s WHERE s.symbol = last_seen.symbol)
      FROM last_seen JOIN first_gone USING (symbol)
"""
"""The evidence of the symbols in the JSON array `:symbols`."""


def derived_state(db: sqlite3.Connection, symbol: str) -> SymbolState:
    """Return the state that all observations of a symbol make, credible or not. Raise Undecodable for damaged ones."""
    (row,) = db.execute(EVIDENCE, parameters([symbol], instants.LATEST))
    return derive_state(Evidence(*row))


def parameters(symbols: Iterable[str], noted_at: str) -> dict[str, str]:
    """Return the parameters of EVIDENCE. `noted_at`: an instant up to which observations are credible."""
    until_backoff = f"+{instants.scheduled_days(DAYS_UNTIL_BACKOFF).total_seconds():.0f} seconds"
    return {"symbols": json.dumps(sorted(symbols)), "noted_at": noted_at, "until_backoff": until_backoff}


def derive_state(evidence: Evidence) -> SymbolState:
    """Return the state of a symbol: covered unless the API has said otherwise since the last overview.

    While it stays uncovered, the time to the next attempt doubles; a symbol that has an overview stays due for a week
    before that.
    """
    seen, gone = evidence.seen, evidence.gone
    if gone is None or (seen is not None and seen >= gone):
        state, since, last, next_try = "covered", evidence.first_seen, seen, None
        outcome = Outcome.STORED if evidence.is_new else Outcome.UNCHANGED
    else:
        state, since, last, next_try = "unknown", evidence.first_gone, gone, _next_try(gone, evidence.times_gone)
        outcome = Outcome.UNKNOWN
    return SymbolState(
        symbol=evidence.symbol,
        state=state,
        since=since,
        last_look=last,
        next_try=next_try,
        last_try=last,
        last_outcome=outcome.value,
        snapshots=evidence.snapshots,
        last_overview=seen,
    )


def _next_try(gone: str, times_gone: int) -> str | None:
    """Return when a symbol that is not covered is due again; None: as usual."""
    if times_gone == 0:
        return None
    days = min(2 ** min(times_gone - 1, 5), MAX_BACKOFF_DAYS)
    return instants.to_text(instants.from_text(gone) + instants.scheduled_days(days))


def misses_of(last_look: str | None, next_try: str | None) -> int:
    """Return how many `{}` delay the next attempt so long; at most as many as the longest delay takes."""
    if last_look is None or next_try is None:
        return 0
    return next((number for number in range(1, 6) if next_try <= (_next_try(last_look, number) or "")), 6)

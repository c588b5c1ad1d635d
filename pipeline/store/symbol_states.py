"""What is known of each symbol: covered or not, when last observed, when to try again."""

import json
from collections.abc import Sequence

from aiosqlite import Connection

from pipeline.model.symbols import Symbol
from pipeline.store.writer import bulk_insert

_ADD_UNCOVERED = bulk_insert("uncovered", ["symbol", "at"], "ON CONFLICT DO NOTHING")
COVERED = bulk_insert(
    "symbols",
    ["symbol", "since", "last_look", "last_try", "last_outcome", "snapshots", "state"],
    """ON CONFLICT (symbol) DO UPDATE SET
        since = iif(state IS 'covered', since, excluded.since),
        state = 'covered', next_try = NULL, last_look = excluded.last_look,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = snapshots + excluded.snapshots
     WHERE excluded.last_look >= coalesce(last_look, '')""",
)
RESTATE = """
    WITH credible AS (
        SELECT max(:noted_at, coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day')
                                          FROM runs ORDER BY id DESC LIMIT 1), '9999')) AS until
    ), looked AS (
        SELECT value AS symbol,
               coalesce(
                   nullif(max(
                       coalesce((SELECT max(observed_at) FROM snapshots
                                  WHERE symbol = value AND observed_at <= credible.until), ''),
                       coalesce((SELECT max(at) FROM looks WHERE symbol = value AND at <= credible.until), '')), ''),
                   (SELECT confirmed_at FROM snapshots WHERE symbol = value ORDER BY observed_at DESC LIMIT 1)) AS seen,
               (SELECT max(at) FROM uncovered WHERE symbol = value AND at <= credible.until) AS gone
          FROM json_each(:symbols), credible
    ), stated AS (
        SELECT symbol, seen, gone, iif(gone IS NULL OR seen >= gone, 'covered', 'unknown') AS state,
               (SELECT count(*) FROM uncovered AS u
                 WHERE u.symbol = looked.symbol AND at > coalesce(seen, '') AND at <= gone) AS times
          FROM looked
    )
    INSERT INTO symbols (symbol, state, since, last_look, next_try, last_try, last_outcome, snapshots)
    SELECT symbol, state,
           iif(state = 'unknown',
               (SELECT min(at) FROM uncovered AS u WHERE u.symbol = stated.symbol AND at > coalesce(seen, '')),
               min(coalesce((SELECT min(at) FROM looks WHERE looks.symbol = stated.symbol AND at > coalesce(gone, '')),
                            seen),
                   coalesce((SELECT min(observed_at) FROM snapshots AS s
                              WHERE s.symbol = stated.symbol AND observed_at > coalesce(gone, '')), seen))),
           iif(state = 'unknown', gone, seen),
           iif(state = 'unknown',
               strftime('%Y-%m-%dT%H:%M:%fZ', gone, min(1 << min(times - 1, 5), 30) || ' days'), NULL),
           iif(state = 'unknown', gone, seen),
           CASE WHEN state = 'unknown' THEN 'unknown'
                WHEN EXISTS (SELECT 1 FROM snapshots AS s WHERE s.symbol = stated.symbol AND observed_at = seen)
                THEN 'stored' ELSE 'unchanged' END,
           (SELECT count(*) FROM snapshots AS s WHERE s.symbol = stated.symbol)
      FROM stated
     WHERE true
    ON CONFLICT (symbol) DO UPDATE SET
        state = excluded.state, since = excluded.since, last_look = excluded.last_look, next_try = excluded.next_try,
        last_outcome = iif(last_try > excluded.last_try, last_outcome, excluded.last_outcome),
        last_try = max(coalesce(last_try, ''), excluded.last_try), snapshots = excluded.snapshots
"""
"""What is known of a symbol, from its looks alone.

One that was found uncovered is asked again after 1 day, then 2, 4, ... 30, while it stays so. What was noted by a clock
a day and more ahead of the last run's hides nothing; what a run notes now, it may have begun days ago, counts.
"""
TRIED = """
    INSERT INTO symbols (symbol, last_try, last_outcome) VALUES (:symbol, :at, :outcome)
    ON CONFLICT (symbol) DO UPDATE SET last_try = excluded.last_try, last_outcome = excluded.last_outcome
"""


async def uncover(db: Connection, found: Sequence[tuple[Symbol, str]], *, noted_at: str = "") -> None:
    """Note the looks that found a symbol not covered."""
    if found:
        await _ADD_UNCOVERED.write(db, found)
        symbols = json.dumps(sorted({symbol for symbol, _ in found}))
        await db.execute(RESTATE, {"symbols": symbols, "noted_at": noted_at})

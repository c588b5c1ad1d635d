"""Questions: those of docs/database.md, as SQL whose parameters a person fills in.

A parameter left empty has a default. An instant is a date, which means its end, or ISO text, in UTC without an offset.
"""

from dataclasses import dataclass

from pipeline.model.fields import CATALOGUE


@dataclass(frozen=True, slots=True)
class Question:
    """A question in SQL, with its parameters in the order in which to ask for them."""

    name: str
    title: str
    help: str
    """What the parameters are."""
    parameters: tuple[str, ...]
    sql: str


_VALUE = "CASE coalesce(nullif(:field, ''), 'pe_ratio')\n         {} END".format(
    "\n         ".join(f"WHEN '{field.column}' THEN {field.column}" for field in CATALOGUE)
)
"""The value of the column that `:field` names: a parameter cannot stand for a column."""

_UNTIL = """CASE
         WHEN :at = '' THEN '9999-12-31T23:59:59.999Z'
         WHEN length(:at) = 10 THEN :at || 'T23:59:59.999Z'
         ELSE strftime('%Y-%m-%dT%H:%M:%fZ', :at) END"""
"""The instant `:at` as the database writes it; NULL, which nothing is before, for text that is no instant."""

_KNOWN = f"""overviews AS known
 WHERE observed_at = (SELECT observed_at FROM overviews AS earlier
                       WHERE earlier.symbol = known.symbol AND earlier.observed_at <= {_UNTIL}
                       ORDER BY earlier.observed_at DESC LIMIT 1)"""

QUESTIONS = (
    Question(
        "latest",
        "The largest companies of a sector, as last seen",
        "sector: as in the data, such as TECHNOLOGY; empty is all",
        ("sector",),
        """
SELECT symbol, name, pe_ratio, market_capitalization
  FROM latest_overviews
 WHERE :sector = '' OR sector = upper(:sector)
 ORDER BY market_capitalization DESC
""",
    ),
    Question(
        "as_of",
        "What was known of every company at an instant?",
        "at: a date (its end) or 2026-03-14T18:30Z; empty is now",
        ("at",),
        f"""
SELECT symbol, name, market_capitalization, pe_ratio, eps, latest_quarter, observed_at
  FROM {_KNOWN}
""",
    ),
    Question(
        "history",
        "One value through time, with the interval in which it is known to have held",
        "symbol: such as AAPL; field: a column, empty is pe_ratio",
        ("symbol", "field"),
        f"""
SELECT observed_at, confirmed_at, {_VALUE} AS value
  FROM overviews
 WHERE symbol = upper(:symbol)
 ORDER BY observed_at
""",
    ),
    Question(
        "changes",
        "What changed on a day, the largest change first?",
        "day: such as 2026-03-14, empty is the newest; percent: changes of at least that, empty is all",
        ("day", "percent"),
        """
SELECT symbol, field, before, after, round(100 * change, 1) AS percent, last_confirmed_at, observed_at
  FROM overview_changes
 WHERE observed_at >= coalesce(nullif(:day, ''), (SELECT substr(max(observed_at), 1, 10) FROM latest_overviews))
   AND observed_at < date(coalesce(nullif(:day, ''), (SELECT substr(max(observed_at), 1, 10) FROM latest_overviews)),
                          '+1 day')
   AND (:percent = '' OR 100 * abs(change) >= CAST(:percent AS REAL))
 ORDER BY abs(change) DESC
""",
    ),
    Question(
        "restated",
        "What was restated, the largest change first?",
        "symbol: empty is all",
        ("symbol",),
        """
SELECT symbol, field, latest_quarter, before, after, round(100 * change, 1) AS percent, observed_at
  FROM restatements
 WHERE :symbol = '' OR symbol = upper(:symbol)
 ORDER BY abs(change) DESC
""",
    ),
    Question(
        "stale",
        "Which companies were last confirmed more than some days ago?",
        "days: empty is 3",
        ("days",),
        """
SELECT symbol, confirmed_at, round(julianday('now') - julianday(confirmed_at), 1) AS days
  FROM latest_overviews
 WHERE julianday(confirmed_at) < julianday('now') - CAST(coalesce(nullif(:days, ''), 3) AS REAL)
 ORDER BY confirmed_at
""",
    ),
    Question(
        "failures",
        "How did the last runs end, and which symbols failed or were rejected?",
        "runs: how many, empty is 10",
        ("runs",),
        """
SELECT runs.id, started_at, status, symbol, outcome, outcomes.detail
  FROM runs
  LEFT JOIN outcomes ON outcomes.run_id = runs.id AND outcome IN ('failed', 'rejected')
 WHERE runs.id > (SELECT max(id) FROM runs) - CAST(coalesce(nullif(:runs, ''), 10) AS INTEGER)
 ORDER BY runs.id DESC, symbol
""",
    ),
    Question(
        "requests_a_day",
        "How many requests were sent on each of the last days?",
        "Slots that no limit needs any more are deleted.",
        (),
        """
SELECT substr(reserved_at, 1, 10) AS day, count(*) AS requests, sum(retry) AS retries,
       count(DISTINCT nullif(symbol, '')) AS symbols
  FROM requests
 WHERE outcome IS NOT 'unsent'
 GROUP BY day
 ORDER BY day DESC
""",
    ),
    Question(
        "sectors",
        "The median price to earnings of each sector, at an instant",
        "at: a date (its end) or 2026-03-14T18:30Z; empty is now",
        ("at",),
        f"""
WITH rated AS (
SELECT sector, pe_ratio
  FROM {_KNOWN}
   AND pe_ratio > 0)
SELECT sector, companies, round(avg(pe_ratio), 2) AS median_pe
  FROM (SELECT sector, pe_ratio, count(*) OVER (PARTITION BY sector) AS companies,
               row_number() OVER (PARTITION BY sector ORDER BY pe_ratio) AS place
          FROM rated)
 WHERE place IN ((companies + 1) / 2, (companies + 2) / 2)
 GROUP BY sector
 ORDER BY median_pe
""",
    ),
    Question(
        "coverage",
        "How many companies of each sector have a value in a field?",
        "field: a column, empty is pe_ratio",
        ("field",),
        f"""
SELECT sector, count(*) AS companies, count({_VALUE}) AS with_value
  FROM latest_overviews
 GROUP BY sector
 ORDER BY sector
""",
    ),
)

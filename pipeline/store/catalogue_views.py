"""Catalogue views: the SQL of the views that follow from the field catalogue, and of its rows in the table `fields`.

The views are written so that DuckDB, which takes them over and runs them itself, understands them too: conditions under
WHERE, no generated columns, one type of value a CASE.
"""

import textwrap
from collections.abc import Iterable, Sequence

from pipeline.model.fields import Field, Kind, Part

TABLES = {Part.PROFILE: "profiles", Part.REPORTED: "statements", Part.DAILY: "snapshots"}
"""Which table has the columns of a part."""
SQL_TYPES = {Kind.TEXT: "TEXT", Kind.INTEGER: "INTEGER", Kind.REAL: "REAL", Kind.DATE: "TEXT"}
NUMBERS, TEXTS = (Kind.INTEGER, Kind.REAL), (Kind.TEXT, Kind.DATE)

_WIDTH = 112
_UNBROKEN = "\x1f"
_RELATIVE = "CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END"


def views(catalogue: Sequence[Field]) -> dict[str, str]:
    """Return the statement that creates each view, by its name, in the order in which they can be created."""
    return {
        "overviews": _overviews(catalogue),
        "latest_overviews": _LATEST_OVERVIEWS,
        "overview_changes": _overview_changes(catalogue),
        "restatements": _restatements([field for field in catalogue if field.is_fiscal]),
    }


def field_row(field: Field) -> str:
    """Return a field's row of the table `fields`, as SQL values in the order of `FIELD_COLUMNS`."""
    texts = (field.column, field.name, field.kind, field.part, field.unit)
    row = [*map(quote, texts), str(int(field.is_fiscal)), quote(field.missing), quote(field.description)]
    return f"({', '.join(row)})"


FIELD_COLUMNS = "field, name, kind, part, unit, fiscal, missing, description"


def quote(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'{}'".format(text.replace("'", "''"))


def _wrapped(pieces: Iterable[str], indent: str) -> str:
    """Return the pieces in lines, none of them broken."""
    joined = " ".join(piece.replace(" ", _UNBROKEN) for piece in pieces)
    lines = textwrap.wrap(joined, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), indent).replace(_UNBROKEN, " ")


def _overviews(catalogue: Sequence[Field]) -> str:
    others = [field.column for field in catalogue if field.column != "symbol"]
    return f"""\
-- Every snapshot, all columns, in the order of the API's document. By way of the symbols, so that an interval of
-- `observed_at` is a seek for each, not a read of the whole table: a cross-section of a day among years is near.
CREATE VIEW overviews AS
SELECT
    symbols.symbol, snapshots.observed_at, coalesce(reconfirmed_at, observed_at) AS confirmed_at,
{_wrapped([f"{column}," for column in others], "    ")}
    extra
FROM symbols
CROSS JOIN snapshots
CROSS JOIN profiles
CROSS JOIN statements
WHERE snapshots.symbol = symbols.symbol
    AND profiles.id = snapshots.profile_id
    AND statements.id = snapshots.statement_id"""


_LATEST_OVERVIEWS = """\
-- The newest snapshot of each symbol: found by a seek, where max() in a join would read each symbol's whole past.
CREATE VIEW latest_overviews AS
SELECT *
FROM overviews
WHERE observed_at = (
    SELECT newest.observed_at FROM snapshots AS newest
     WHERE newest.symbol = overviews.symbol
     ORDER BY newest.observed_at DESC LIMIT 1
)"""


def _case(fields: Iterable[Field], of: str, table: str, indent: str = "    ") -> str:
    """Return the value in a table of the field that a column `field` names."""
    cases = _wrapped((f"WHEN {quote(f.column)} THEN {table}.{f.column}" for f in fields), f"{indent}  ")
    return f"CASE {of}\n{cases}\n{indent}END"


def _overview_changes(catalogue: Sequence[Field]) -> str:
    selects = []
    for part in (Part.DAILY, Part.REPORTED, Part.PROFILE):
        for kinds in (NUMBERS, TEXTS):
            fields = [f for f in catalogue if f.part is part and f.kind in kinds and f.column != "symbol"]
            if fields:
                selects.append(_changes_of(part, kinds, fields))
    union = "\nUNION ALL\n".join(selects)
    return f"""\
-- Each value that differs from the one in the snapshot before: `last_confirmed_at` is when the old one was last seen,
-- `observed_at` when the new one first was; `change` is relative, where both are numbers.
CREATE VIEW overview_changes AS
{union}"""


def _changes_of(part: Part, kinds: Sequence[Kind], fields: Sequence[Field]) -> str:
    """Return the changes of the fields of a part that are numbers, or that are texts."""
    table = TABLES[part]
    joins = condition = ""
    before, after = "was", "now"
    if part is not Part.DAILY:
        before, after, key = "old", "new", f"{table.removesuffix('s')}_id"
        joins = f"CROSS JOIN {table} AS old\nCROSS JOIN {table} AS new\n"
        condition = f"AND old.id = was.{key} AND new.id = now.{key} AND now.{key} <> was.{key}\n    "
    names = ", ".join(map(quote, kinds))
    return f"""\
SELECT symbol, field, part, before, after,
    {_RELATIVE if kinds is NUMBERS else "NULL"} AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    {_case(fields, "fields.field", before)} AS before,
    {_case(fields, "fields.field", after)} AS after,
    coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, now.observed_at
FROM symbols
CROSS JOIN snapshots AS now
CROSS JOIN snapshots AS was
{joins}CROSS JOIN fields
WHERE now.symbol = symbols.symbol AND was.symbol = now.symbol
    AND was.observed_at = (
        SELECT earlier.observed_at FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    )
    {condition}AND fields.part = {quote(part)} AND fields.kind IN ({names}) AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)"""


_LAST_OF_QUARTER = """\
SELECT symbol, observed_at, statement_id, latest_quarter, (
        SELECT earlier.observed_at FROM snapshots AS earlier CROSS JOIN statements AS old
         WHERE earlier.symbol = changed.symbol AND earlier.observed_at < changed.observed_at
           AND old.id = earlier.statement_id AND old.latest_quarter = statements.latest_quarter
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) AS was_at
FROM (
SELECT symbols.symbol, now.observed_at, now.statement_id, (
        SELECT earlier.statement_id FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) AS statement_before
FROM symbols
CROSS JOIN snapshots AS now
WHERE now.symbol = symbols.symbol
) AS changed
CROSS JOIN statements
WHERE statement_id <> statement_before AND statements.id = statement_id"""
"""Each new statement, and when a snapshot last had its quarter."""


def _restatements(fiscal: Sequence[Field]) -> str:
    return f"""\
-- A value that replaced another of the same quarter: what a company's statements say, not what analysts or the market
-- do. Each value is compared with the last one known of its quarter, however many snapshots, of whatever quarters, lie
-- between: an old quarter may be restated after the next has been reported. Like the query of `pipeline vintages`,
-- which it must agree with. From the inside out: where the statement changes; the snapshot that last had the new one's
-- quarter; the values that differ from that snapshot's; and, where that had none, the last snapshot of the quarter that
-- had one. Each step is a query of its own: SQLite seeks through all of them at once, and DuckDB, which joins, meets
-- few rows in each.
CREATE VIEW restatements AS
SELECT symbol, field, latest_quarter, before, after,
    {_RELATIVE} AS change,
    last_confirmed_at, observed_at
FROM (
SELECT restated.symbol, field, restated.latest_quarter,
    {_case(fiscal, "field", "old")} AS before,
    after, coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, restated.observed_at
FROM (
SELECT symbol, observed_at, latest_quarter, field, after,
    CASE WHEN before IS NOT NULL THEN was_at ELSE (
        SELECT earlier.observed_at FROM snapshots AS earlier CROSS JOIN statements AS old
         WHERE earlier.symbol = compared.symbol AND earlier.observed_at < compared.was_at
           AND old.id = earlier.statement_id AND old.latest_quarter = compared.latest_quarter
           AND {_case(fiscal, "compared.field", "old", "           ")} IS NOT NULL
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) END AS was_at
FROM (
SELECT later.symbol, later.observed_at, later.latest_quarter, later.was_at, fields.field,
    {_case(fiscal, "fields.field", "old")} AS before,
    {_case(fiscal, "fields.field", "new")} AS after
FROM (
{_LAST_OF_QUARTER}
) AS later
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
CROSS JOIN statements AS new
CROSS JOIN fields
WHERE was.symbol = later.symbol AND was.observed_at = was_at
    AND old.id = was.statement_id AND new.id = later.statement_id
    AND fields.fiscal = 1
) AS compared
WHERE before <> after OR (before IS NULL AND after IS NOT NULL)
) AS restated
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
WHERE was.symbol = restated.symbol AND was.observed_at = restated.was_at AND old.id = was.statement_id
)
WHERE before <> after"""

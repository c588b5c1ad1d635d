"""Parts: joins snapshots with the profiles, statements and layouts that they refer to, and fails where one is missing.

An inner join would leave such a snapshot out of the answer without a word.
"""

import re

from pipeline.errors import Inconsistent

_COLUMNS = {"profiles": "profile_id", "statements": "statement_id", "layouts": "layout_id"}
"""The tables of parts, and the column of snapshots that refers to each."""
PARTS = tuple(_COLUMNS)
_MISSING = "refers to a row that is missing"
_SAID = re.compile(f"a snapshot of .{{0,40}} {_MISSING}")


def with_parts(*tables: str) -> str:
    """Return the joins of snapshots with tables of parts. The query needs the condition `parts_are_there`, too."""
    return " ".join(f"LEFT JOIN {table} ON {table}.id = snapshots.{_COLUMNS[table]}" for table in tables)


def parts_are_there(*tables: str) -> str:
    """Return a condition that is true, or ends the query with an error, which `missing_part` knows.

    SQLite can raise an error with a text in triggers only. But it repeats what it was given as a path in JSON.
    """
    if not tables:
        return "true"
    is_missing = " OR ".join(f"{table}.id IS NULL" for table in tables)
    text = f"printf('a snapshot of %.40s {_MISSING}', snapshots.symbol)"
    return f"iif({is_missing}, json_extract('{{}}', {text}), true)"


def missing_part(error: Exception) -> str | None:
    """Return which part an error of SQLite's says is missing, None for another error."""
    said = _SAID.search(str(error))
    return None if said is None else said[0]


def part_of(table: str, part: int) -> Inconsistent:
    """Return the error for a part that is missing, by its id."""
    return Inconsistent(f"a snapshot refers to row {part} of {table}, which is missing")

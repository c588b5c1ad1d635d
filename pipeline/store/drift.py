"""Drift: where the API's newest documents and the field catalogue disagree."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from pipeline.decoding import decode_object
from pipeline.model.document import decode_layout
from pipeline.model.fields import CATALOGUE, FIELDS
from pipeline.model.values import is_valid


@dataclass(frozen=True, slots=True)
class Drift:
    """The fields in which the newest documents and the catalogue disagree, by the API's names."""

    unknown_fields: list[str]
    """Sent, but not in the catalogue: stored in `extra`."""
    absent_fields: list[str]
    """In the catalogue, but not sent for any symbol."""
    unreadable_fields: list[str]
    """Sent with a value that the column's type cannot hold: NULL in the column, stored in `extra`."""


_NEWEST_DOCUMENTS = """
    SELECT snapshots.layout_id, snapshots.extra
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at = (
               SELECT newest.observed_at FROM snapshots AS newest
                WHERE newest.symbol = symbols.symbol ORDER BY newest.observed_at DESC LIMIT 1)
     WHERE symbols.state = 'covered' OR symbols.snapshots > 0 AND symbols.next_try IS NULL
"""


def read_drift(db: sqlite3.Connection) -> Drift:
    """Return the drift of the newest document of each covered symbol. All lists are empty if there is none.

    A symbol that the API has denied for less than a week counts as covered: while it denies many, no field is absent.
    """
    layouts: set[int] = set()
    unreadable: set[str] = set()
    for layout, extra in db.execute(_NEWEST_DOCUMENTS):
        layouts.add(layout)
        if extra is not None:
            unreadable.update(name for name, value in decode_object(extra).items() if _is_unreadable(name, value))
    found = db.execute(
        "SELECT keys FROM layouts WHERE id IN (SELECT value FROM json_each(?))", (json.dumps([*layouts]),)
    )
    sent = {name for (keys,) in found for name in decode_layout(keys)}
    absent = [field.name for field in CATALOGUE if field.name not in sent] if layouts else []
    return Drift(sorted(sent - FIELDS.keys()), absent, sorted(unreadable))


def _is_unreadable(name: str, value: Any) -> bool:
    return name in FIELDS and not is_valid(FIELDS[name], value)

"""What was known of companies at instants that are few among their snapshots: a seek for each. Needs numpy.

The rows come as columns: no value becomes an object. Profiles and statements, which many rows share, are read once.
"""

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.fields import Field, Kind, Part
from pipeline.query.known import Known
from pipeline.query.known_by_reading import Found, Run
from pipeline.query.packed import packed, places_of, typed
from pipeline.query.results import columns_of

_PARTS = {Part.PROFILE: ("profiles", "profile_id"), Part.REPORTED: ("statements", "statement_id")}


def seek_columns(known: Known, runs: Sequence[Run]) -> Found:
    """Return what was known of companies that were never renamed. Each is in one run."""
    of_part = {part: [field for field in known.fields if field.part is part] for part in Part}
    ids = [(name, Kind.INTEGER) for part, (_, name) in _PARTS.items() if of_part[part]]
    columns = (*_SEEN, *columns_of(of_part[Part.DAILY]), *ids)
    query = _SEEK.format(names="".join(f", {name}" for name, _ in columns[len(_SEEN) :]))
    found = typed(columns, [packed(known.db, columns, query, {"runs": json.dumps(dict(runs))})])
    for part, (name, number) in _PARTS.items():
        if of_part[part]:
            found |= _shared(known, name, of_part[part], found[number])
    return Found(
        found["observed_at"], found["last_seen"].cast(pa.int64()), [found[field.column] for field in known.fields]
    )


def _shared(known: Known, name: str, fields: Sequence[Field], ids: pa.Array) -> dict[str, pa.Array]:
    """Return the fields of the profiles or statements of these ids, repeated by their places."""
    columns = (("id", Kind.INTEGER), *columns_of(fields))
    names = ", ".join(f"parts.{column}" for column, _ in columns)
    query = f"SELECT {names} FROM json_each(:ids) AS wanted JOIN {name} AS parts ON parts.id = wanted.value"
    distinct = json.dumps(sorted(pc.unique(ids).drop_null().to_pylist()))
    parts = typed(columns, [packed(known.db, columns, query, {"ids": distinct})])
    places = places_of(ids, parts["id"])
    return {field.column: parts[field.column].take(places) for field in fields}


_SEEN = (("observed_at", Kind.INSTANT), ("last_seen", Kind.INSTANT))
_SEEK = """
    SELECT observed_at,
           coalesce(iif(reconfirmed_at <= instant.value, reconfirmed_at,
                        iif(reconfirmed_at IS NULL, NULL,
                            (SELECT at FROM looks
                              WHERE looks.symbol = run.key AND at > observed_at AND at <= instant.value
                              ORDER BY at DESC LIMIT 1))), observed_at){names}
      FROM json_each(:runs) AS run
     CROSS JOIN json_each(run.value) AS instant
      LEFT JOIN snapshots ON snapshots.symbol = run.key
           AND observed_at = (SELECT earlier.observed_at FROM snapshots AS earlier
                               WHERE earlier.symbol = run.key AND earlier.observed_at <= instant.value
                               ORDER BY earlier.observed_at DESC LIMIT 1)
"""

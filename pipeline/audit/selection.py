"""Selection: checks that the symbols and runs that a correction is limited to are in the record."""

import sqlite3
from collections.abc import Sequence

from pipeline.model.outcomes import Outcome
from pipeline.store.database import DatabaseError
from pipeline.store.stored_symbols import not_found, stored_symbols

_OBSERVED = (Outcome.STORED, Outcome.UNCHANGED, Outcome.UNKNOWN)
_KEPT = f"""
    SELECT {" + ".join(_OBSERVED)} AS observed,
           (SELECT count(*) FROM outcomes WHERE run_id = runs.id AND outcome IN ({", ".join("?" * len(_OBSERVED))}))
      FROM runs WHERE id = ?
"""


def refuse_unknown(db: sqlite3.Connection, symbols: Sequence[str], runs: Sequence[int]) -> None:
    """Raise DatabaseError for a symbol or a run that there is not, and a run whose observations are not known."""
    for symbol in symbols:
        if not db.execute("SELECT EXISTS (SELECT 1 FROM symbols WHERE symbol = ?)", (symbol,)).fetchone()[0]:
            raise not_found(db, symbol, stored_symbols(db))
    for run in runs:
        found = db.execute(_KEPT, (*_OBSERVED, run)).fetchone()
        if found is None:
            raise DatabaseError(f"there is no run {run}", remedy="pipeline runs lists them")
        observed, kept = found
        if kept < observed:
            raise DatabaseError(
                f"what run {run} observed is not known: it imported, or its outcomes were deleted",
                remedy="leave out --run, and select by --since and --until",
            )

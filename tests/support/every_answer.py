"""Every answer of a database, a line each, to compare two: `python -m tests.support.every_answer DATABASE`."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pipeline.model.fields import ALL, CATALOGUE, Part
from pipeline.query.history import History
from pipeline.query.vintages import QUARTERLY_FIELDS

INSTANTS = 80


def answers(database: Path) -> Iterator[tuple[str, Iterable[object]]]:
    """Yield each question with its answer."""
    with closing(sqlite3.connect(database)) as db:
        seen = [at for (at,) in db.execute("SELECT DISTINCT observed_at FROM snapshots ORDER BY observed_at")]
        for view in ("overviews", "latest_overviews", "overview_changes", "restatements", "fields"):
            yield view, sorted(map(repr, db.execute(f"SELECT * FROM {view}")))
    with History.open(database) as history:
        for symbol in history.symbols():
            yield f"history {symbol}", history.history(symbol, ALL)
            yield f"vintages {symbol}", history.vintages(symbol, QUARTERLY_FIELDS)
        for at in seen[:: max(len(seen) // INSTANTS, 1)]:
            yield f"as of {at}", history.as_of(at, fields=ALL)
            yield f"documents as of {at}", (json.dumps(one) for one in history.documents_as_of(at))
        yield "panel", history.panel(ALL, every="1w", since=seen[0], until=seen[-1])
        yield "changes", history.changes()
        for part in Part:
            yield f"changes of {part}", history.changes(part=part)
        for field in CATALOGUE[1:]:
            yield f"changes of {field.column}", history.changes(fields=[field])
        yield "suspicious changes", history.changes(suspicious=True)
        yield "restatements", history.restatements()


def main() -> None:
    """Print each question with the number of rows of its answer, and their digest."""
    for question, answer in answers(Path(sys.argv[1])):
        rows = [repr(row) for row in answer]
        print(question, len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())


if __name__ == "__main__":
    main()

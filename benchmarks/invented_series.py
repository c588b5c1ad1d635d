"""Some days of the sandbox's companies, in our tables and as rows of JSON. Run as a process: prints JSON."""

import asyncio
import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.storage import COMPANIES, DAYS, PARTS, Stored
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies
from pipeline.store.migrate import migrate
from pipeline.store.runs import Store
from pipeline.store.snapshots import covered
from pipeline.store.writer import open_writer

_FIRST_DAY = date(2025, 9, 1)
_SIZE = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = ?)"


async def _stored(ours: Path, raw: Path) -> int:
    """Store every day's new overviews in both files, and return how many there were."""
    companies = Companies()
    symbols = [symbol for symbol in companies.symbols if companies.document(symbol, _FIRST_DAY)][:COMPANIES]
    begin = datetime.combine(_FIRST_DAY, datetime.min.time(), UTC)
    migrate(ours, now=begin)
    snapshots = 0
    with closing(sqlite3.connect(raw, isolation_level=None)) as rows:
        rows.execute(
            "CREATE TABLE answers (symbol TEXT, observed_at TEXT, body TEXT, PRIMARY KEY (symbol, observed_at))"
        )
        async with open_writer(ours) as writer:
            store = Store(writer)
            for number in range(DAYS):
                at = begin + timedelta(days=number)
                await store.begin(Trigger.MANUAL, at=at, symbols=len(symbols), due=len(symbols))
                overviews = [_overview(companies, symbol, at.date()) for symbol in symbols]
                ends = await store.add([covered(one, at) for one in overviews])
                new = [one for one, end in zip(overviews, ends, strict=True) if end is Outcome.STORED]
                rows.executemany(
                    "INSERT INTO answers VALUES (?, ?, ?)",
                    [(one.symbol, at.isoformat(), json.dumps(one.document, indent=4)) for one in new],
                )
                snapshots += len(new)
    return snapshots


def _overview(companies: Companies, symbol: Symbol, day: date) -> Overview:
    document = companies.document(symbol, day)
    assert document is not None
    return Overview(symbol, dict(document))


def bytes_of(database: Path, tables: tuple[str, ...]) -> int:
    with closing(sqlite3.connect(database)) as db:
        return sum(db.execute(_SIZE, (table,)).fetchone()[0] for table in tables)


def has_dbstat() -> bool:
    with closing(sqlite3.connect(":memory:")) as db:
        try:
            db.execute("SELECT 1 FROM dbstat")
        except sqlite3.OperationalError:
            return False
        return True


def main() -> None:
    stored = None
    if has_dbstat():
        with tempfile.TemporaryDirectory() as folder:
            ours, raw = Path(folder, "overviews.db"), Path(folder, "raw.db")
            snapshots = asyncio.run(_stored(ours, raw))
            stored = asdict(Stored(snapshots, bytes_of(ours, PARTS), bytes_of(raw, ("answers",))))
    print(json.dumps(stored))


if __name__ == "__main__":
    main()

"""A database in which every question of the documentation has an answer."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pipeline.instants import to_text
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, SymbolResult, Trigger
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.migrate import migrate
from pipeline.store.renames import record_renames
from pipeline.store.runs import Store
from pipeline.store.snapshots import Observation, observation
from pipeline.store.universe import record_list
from pipeline.store.writer import open_writer
from tests.support.clocks import START

EXAMPLES = {
    "sector": "TECHNOLOGY", "at": "2026-03-14", "symbol": "AAPL", "field": "pe_ratio", "day": "2026-03-20",
    "percent": "1", "days": "3", "runs": "10",
}  # fmt: skip
"""What the ten questions are asked with."""


def seen(symbol: str, day: str, **fields: str) -> Observation:
    document = {"Symbol": symbol, "Name": symbol, "LatestQuarter": "2025-12-31", "PERatio": "30", "EPS": "4", **fields}
    at = datetime.fromisoformat(f"{day}T18:00:00+00:00")
    return observation(Symbol(symbol), at, Overview(Symbol(symbol), document))


async def create_answerable(path: Path) -> None:
    """Create such a database."""
    migrate(path, now=START)
    tech = {"Sector": "TECHNOLOGY", "MarketCapitalization": "3000000000000", "RevenueTTM": "391000000000"}
    food = {"Sector": "CONSUMER", "Industry": "BEVERAGES", "MarketCapitalization": "300000000000"}
    async with open_writer(path) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=3, due=3)
        await store.add(
            [
                seen("AAPL", "2026-02-20", **tech),
                seen("AAPL", "2026-03-13", **tech, PERatio="33"),
                seen("AAPL", "2026-03-20", **(tech | {"RevenueTTM": "395000000000"}), PERatio="33"),
                seen("PEP", "2026-02-20", **food),
                seen("PEP", "2026-03-20", **(food | {"Industry": "SOFT DRINKS"})),
                seen("FB", "2022-02-20", **tech, LatestQuarter="2021-12-31"),
                seen("META", "2026-03-20", **tech),
            ]
        )
        renamed = Rename(Symbol("FB"), Symbol("META"), datetime(2022, 6, 9, tzinfo=UTC))
        await record_renames(writer, "", [renamed])
        await record_list(writer, SymbolList("", (Symbol("AAPL"), Symbol("KO"), Symbol("PEP"))), at=START)
        await store.note(SymbolResult(run, Symbol("KO"), Outcome.FAILED, 3, START, "HTTP 503"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at) VALUES (?, 'KO', 1, ?, ?)",
            (run, to_text(START), to_text(START)),
        )

"""Universe: writes when each symbol was in the configured list, so that a past list can be asked for."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.files import is_present, path_of
from pipeline.model.symbols import SymbolList
from pipeline.store.writer import Writer

REQUESTS = "requests"
"""The `configuration` of intervals from before lists were noted: they are taken from the requests of runs."""


async def record_list(writer: Writer, listed: SymbolList, *, at: datetime) -> None:
    """Store that a configuration lists these symbols at an instant. Only what has changed is written.

    Symbols of another configuration stay in the universe, unless its file is gone. Raise StorageError.
    """
    await writer.write(_record_lists, _Seen(listed, instants.to_text(at)))


class _Seen(NamedTuple):
    listed: SymbolList
    at: str


async def _record_lists(db: Connection, lists: Sequence[_Seen]) -> Sequence[None]:
    for listed, at in lists:
        await _pull_back(db, at)
        await _continue_requests(db, listed)
        rows = await db.execute_fetchall("SELECT symbol, configuration FROM universe WHERE until IS NULL")
        wanted = set(listed.symbols)
        present = {symbol for symbol, configuration in rows if configuration == listed.configuration}
        removed = [(at, symbol, listed.configuration) for symbol in present - wanted]
        others = {configuration for _, configuration in rows} - {listed.configuration}
        gone = [(at, configuration) for configuration in others if is_gone(configuration)]
        await db.executemany(
            "UPDATE universe SET until = ? WHERE symbol = ? AND configuration = ? AND until IS NULL", removed
        )
        await db.executemany("UPDATE universe SET until = ? WHERE configuration = ? AND until IS NULL", gone)
        await db.execute("DELETE FROM universe WHERE until <= since")
        await db.executemany(
            "INSERT INTO universe (symbol, since, configuration) VALUES (?, ?, ?)",
            [(symbol, at, listed.configuration) for symbol in sorted(wanted - present)],
        )
    return [None] * len(lists)


async def _pull_back(db: Connection, at: str) -> None:
    """Take back to an instant what was written while the clock was ahead of it."""
    await db.execute("UPDATE universe SET until = :at WHERE until > :at", {"at": at})
    await db.execute("DELETE FROM universe WHERE until <= since")
    await db.execute("UPDATE universe SET since = :at WHERE since > :at", {"at": at})


async def _continue_requests(db: Connection, listed: SymbolList) -> None:
    """With the first list, continue the intervals of its symbols that were requested before lists were noted."""
    await db.execute(
        """
        UPDATE universe SET until = NULL, configuration = :configuration
         WHERE configuration = :requests AND symbol IN (SELECT value FROM json_each(:symbols))
           AND NOT EXISTS (SELECT 1 FROM universe WHERE configuration <> :requests)
        """,
        {"configuration": listed.configuration, "requests": REQUESTS, "symbols": json.dumps(listed.symbols)},
    )


def is_gone(configuration: str) -> bool:
    """Whether a configuration's file is missing. One without a file, of variables alone, counts as missing."""
    try:
        return not configuration or not is_present(path_of(configuration))
    except OSError:
        return False

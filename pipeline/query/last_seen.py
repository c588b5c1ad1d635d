"""Last seen: when each symbol was last observed, by a few seeks for each, as the rows of `symbols` would say."""

import sqlite3
from typing import NamedTuple


class LastSeen(NamedTuple):
    """When a symbol was last observed. Instants are text, as in the file."""

    symbol: str
    last_overview: str | None
    """When its overview was last observed; None: never."""
    last_uncovered: str | None
    """When the API last said that it does not cover the symbol; None: never."""

    @property
    def state(self) -> str:
        """`covered` or `unknown`, by the last answer."""
        return "covered" if (self.last_overview or "") >= (self.last_uncovered or "") else "unknown"

    @property
    def is_uncovered(self) -> bool:
        """Whether it has snapshots, and the API has answered since that it does not cover the symbol."""
        return self.state == "unknown" and self.last_overview is not None


def last_seen(db: sqlite3.Connection) -> list[LastSeen]:
    """Return when each symbol that was ever observed last was, in order."""
    query = """
        SELECT * FROM (
            SELECT symbol,
                   (SELECT confirmed_at FROM snapshots WHERE snapshots.symbol = symbols.symbol
                     ORDER BY observed_at DESC LIMIT 1) AS last_overview,
                   (SELECT at FROM uncovered WHERE uncovered.symbol = symbols.symbol
                     ORDER BY at DESC LIMIT 1) AS last_uncovered
              FROM symbols
             ORDER BY symbol)
         WHERE last_overview IS NOT NULL OR last_uncovered IS NOT NULL
    """
    return [LastSeen(*row) for row in db.execute(query)]

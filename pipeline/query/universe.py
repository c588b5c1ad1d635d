"""The universe of a database: the configured lists as runs noted them, and answers within them."""

import sqlite3
from collections.abc import Collection
from typing import Any, TypeVar

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.universe import Listing, Universe
from pipeline.query.results import Answer, where
from pipeline.store.reader import Listed

T = TypeVar("T")


def read_universe(db: sqlite3.Connection, companies: Companies) -> Universe:
    """Return when each company was configured."""
    query = "SELECT symbol, since, coalesce(until, ?) FROM universe"
    return Universe(map(Listing._make, db.execute(query, (instants.LATEST,)).fetchall()), companies)


def configured_at(universe: Universe, at: str, names: Collection[str] | None) -> list[str]:
    """Return the names of the companies that were configured at an instant, in order: all, or those of `names`."""
    listed = universe.companies_at(at)
    return sorted(listed if names is None else listed.intersection(names))


def configured_symbols(universe: Universe, companies: Companies, at: str) -> dict[str, list[Listed]]:
    """Return the symbols of the companies that were configured at an instant, in order, each with when they were.

    Of a company that was renamed, the symbol that it had then.
    """
    found = {companies.symbol_at(name, at): universe.times(name) for name in universe.companies_at(at)}
    return {symbol: [_listed(*times) for times in sorted(found[symbol])] for symbol in sorted(found)}


def _listed(since: str, until: str) -> Listed:
    return Listed(instants.from_text(since), None if until == instants.LATEST else instants.from_text(until))


def within(answer: Answer[T], universe: Universe, instant: str) -> Answer[T]:
    """Return the rows of an answer whose company was configured at the instant in the column of this name."""
    company, at = answer.names.index("symbol"), answer.names.index(instant)

    def is_in(row: tuple[Any, ...]) -> bool:
        return universe.has(row[company], row[at])

    return where(answer, is_in)

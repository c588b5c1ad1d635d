"""The universe of a database: the configured lists as runs noted them, and answers within them."""

import sqlite3
from collections.abc import Collection
from typing import Any, TypeVar

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.universe import Listing, Universe
from pipeline.query.results import Answer, where

T = TypeVar("T")


def read_universe(db: sqlite3.Connection, companies: Companies) -> Universe:
    """Return when each company was configured."""
    query = "SELECT symbol, since, coalesce(until, ?) FROM universe"
    return Universe(map(Listing._make, db.execute(query, (instants.LATEST,)).fetchall()), companies)


def configured_at(universe: Universe, at: str, names: Collection[str] | None) -> list[str]:
    """Return the names of the companies that were configured at an instant, in order: all, or those of `names`."""
    listed = universe.companies_at(at)
    return sorted(listed if names is None else listed.intersection(names))


def within(answer: Answer[T], universe: Universe, instant: str) -> Answer[T]:
    """Return the rows of an answer whose company was configured at the instant in the column of this name."""
    company, at = answer.names.index("symbol"), answer.names.index(instant)

    def is_in(row: tuple[Any, ...]) -> bool:
        return universe.has(row[company], row[at])

    return where(answer, is_in)

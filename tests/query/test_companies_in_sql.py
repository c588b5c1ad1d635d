"""The view `companies`: what docs/database.md joins by it is what the questions answer, in SQLite and in DuckDB."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.instants import to_text
from pipeline.query.history import History
from tests.docs.generate import DOCS
from tests.support.observations import after, database_of, seen
from tests.support.renames import configure, rename
from tests.support.universe import listed

PAGE = (DOCS / "database.md").read_text(encoding="utf-8").partition("## Companies in SQL")[2]
ONE, ALL, CONFIGURED = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)[:3]
Rows = list[tuple[Any, ...]]


def in_sqlite(database: Path, query: str) -> Rows:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def in_duckdb(database: Path, query: str) -> Rows:
    """Run a query on the views of a database, which DuckDB runs itself over the tables."""
    duckdb = import_module("duckdb")
    package = Path(str(import_module("duckdb_extension_sqlite_scanner").__file__)).parent
    (extension,) = package.rglob("*.duckdb_extension")
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as db:
        db.execute(f"LOAD '{extension}'")
        db.execute(f"ATTACH '{database}' AS record (TYPE sqlite, READ_ONLY)")
        db.execute("USE record")
        found: Rows = db.execute(query).fetchall()
        return found


@pytest.fixture(scope="module")
def renamed() -> Path:
    database = database_of([
        seen(1, "FB", PERatio="1"), seen(5, "FB", PERatio="2"), seen(13, "FB", PERatio="90"),
        seen(1, "PEP", PERatio="5"), seen(2, "META", PERatio="70"), seen(11, "META", PERatio="2"),
        seen(12, "META", PERatio="4"), seen(14, "META"),
    ])  # fmt: skip
    configure(database, rename("FB", "META", after(10)))
    return database


@pytest.mark.parametrize("run", [in_sqlite, in_duckdb])
def test_one_company_is_its_history(renamed: Path, run: Callable[[Path, str], Rows]) -> None:
    with History.open(renamed) as history:
        names = ["symbol", "observed_symbol", "observed_at", "pe_ratio"]
        answer = history.history("META", ["pe_ratio"])
        expected = [tuple(row[answer.names.index(name)] for name in names) for row in answer.rows()]

    assert run(renamed, ONE) == expected


@pytest.mark.parametrize("run", [in_sqlite, in_duckdb])
@pytest.mark.parametrize("hours", [0, 2, 9, 11, 12, 20])
def test_all_companies_are_those_of_as_of(renamed: Path, run: Callable[[Path, str], Rows], hours: float) -> None:
    with History.open(renamed) as history:
        names = ["symbol", "observed_symbol", "pe_ratio", "observed_at"]
        answer = history.as_of(after(hours), None, ["pe_ratio"])
        expected = [tuple(row[answer.names.index(name)] for name in names) for row in answer.rows()]
    until = after(hours).isoformat(timespec="milliseconds").replace("+00:00", "Z!")  # later than that instant alone

    assert run(renamed, ALL.replace("2026-03-15", until)) == expected


@pytest.mark.parametrize("run", [in_sqlite, in_duckdb])
@pytest.mark.parametrize("hours", [0, 2, 9, 11, 20])
def test_what_was_configured_is_the_universe(run: Callable[[Path, str], Rows], hours: float) -> None:
    database = database_of([seen(0, "FB"), seen(0, "PEP")])
    listed(database, (1, "FB PEP"), (10, "META"))
    configure(database, rename("FB", "META", after(10)))
    with History.open(database) as history:
        expected = [(company,) for company in history.universe(after(hours))]

    assert run(database, CONFIGURED.replace("2026-03-15", to_text(after(hours)))) == expected

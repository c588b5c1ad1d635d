"""`[symbols.renamed]` from the command line: what is requested, and that the database alone knows it afterwards."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import call, query

RENAMED = '[symbols.renamed]\nFB = {to = "META", on = 2022-06-09}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration that lists FB, and says that it was renamed."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text(f'[symbols]\nlist = ["FB", "PEP"]\n{RENAMED}')
    return tmp_path


def collect(folder: Path, *symbols: str) -> str:
    arguments = ["--sandbox", "--latency", "0", "--force", "--database", "x.db", *symbols]
    ended = call(folder, "collect", *arguments, PIPELINE_SOURCE__LIMITS="[]")
    assert ended.code == 0, ended.err
    return ended.err


def rows(database: Path, sql: str) -> Sequence[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


def archive(folder: Path) -> str:
    """Return an archive of FB before the rename."""
    line = {"symbol": "FB", "observed_at": "2022-03-14T18:00:00Z", "document": {"Symbol": "FB", "Name": "x"}}
    (folder / "old.jsonl").write_text(json.dumps(line) + "\n")
    return "old.jsonl"


def test_collect_requests_the_newest_symbol_and_says_so(folder: Path) -> None:
    said = collect(folder)

    assert "META for FB" in said
    assert {symbol for (symbol,) in rows(folder / "x.db", "SELECT symbol FROM requests")} == {"META", "PEP"}
    assert {symbol for (symbol,) in rows(folder / "x.db", "SELECT symbol FROM universe")} == {"META", "PEP"}


def test_an_old_symbol_that_is_named_is_replaced_too(folder: Path) -> None:
    assert "META for FB" in collect(folder, "fb")
    assert rows(folder / "x.db", "SELECT symbol FROM requests") == [("META",)]


def test_the_database_answers_for_both_symbols_wherever_it_goes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert call(folder, "import", archive(folder), "--database", "x.db").code == 0
    copy = tmp_path_factory.mktemp("elsewhere") / "x.db"
    assert call(folder, "backup", str(copy), "--database", "x.db").code == 0

    assert [row["observed_symbol"] for row in query(copy, "history", "META", "--json").json] == ["FB"]


def test_a_rename_that_is_removed_again_is_forgotten_by_whatever_writes_next(folder: Path) -> None:
    assert call(folder, "import", archive(folder), "--database", "x.db").code == 0
    assert len(rows(folder / "x.db", "SELECT * FROM spans")) == 4
    (folder / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["FB"]')
    assert call(folder, "import", archive(folder), "--database", "x.db").code == 0

    assert rows(folder / "x.db", "SELECT * FROM spans") == []


def test_a_question_says_that_a_configured_rename_is_not_in_the_database_yet(folder: Path) -> None:
    config = folder / "config" / "pipeline.toml"
    renamed = config.read_text()
    config.write_text('[symbols]\nlist = ["FB"]')
    assert call(folder, "import", archive(folder), "--database", "x.db").code == 0
    config.write_text(renamed)

    before = call(folder, "history", "FB", "--database", "x.db")
    assert call(folder, "import", archive(folder), "--database", "x.db").code == 0
    after = call(folder, "history", "FB", "--database", "x.db")

    assert "renames of FB" in before.err
    assert (before.code, after.code, after.err) == (0, 0, "")


def test_the_old_symbol_is_neither_stale_nor_uncovered_for_ever(folder: Path) -> None:
    config = folder / "config" / "pipeline.toml"
    config.write_text('[symbols]\nlist = ["FB", "PEP"]')
    collect(folder)
    config.write_text(f'[symbols]\nlist = ["FB", "PEP"]\n{RENAMED}')
    collect(folder)

    stale = call(folder, "status", "--json", "--database", "x.db").json
    listed = call(folder, "symbols", "--json", "--database", "x.db").json

    assert "FB" not in json.dumps(stale)
    assert [row["symbol"] for row in listed] == ["META", "PEP"]
    every = call(folder, "symbols", "--all", "--json", "--database", "x.db").json
    assert [(row["symbol"], row["renamed_to"]) for row in every] == [("META", None), ("PEP", None), ("FB", "META")]


def test_a_cycle_is_refused_in_one_line(folder: Path) -> None:
    (folder / "config" / "pipeline.toml").write_text('[symbols.renamed]\nFB = "META"\nMETA = "FB"')
    ended = call(folder, "collect", "--sandbox")

    assert ended.code == 3
    assert len(ended.err.splitlines()) == 1
    assert "FB -> META -> FB" in ended.err

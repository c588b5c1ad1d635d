"""`pipeline symbols`: the configured symbols and their state."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.cli.output import to_minute
from tests.support.collected import Collected
from tests.support.commands import call, query, table
from tests.support.observations import text


def test_without_a_database_the_configured_symbols_are_listed(folder: Path) -> None:
    (row,) = call(folder, "symbols", "--json").json

    assert row["symbol"] == "AAPL"
    assert (row["state"], row["standing"], row["configured_since"]) == ("pending", "pending", None)
    assert row["snapshots"] == 0


def test_symbols_are_listed_with_their_state(collected: Collected) -> None:
    rows = {row["symbol"]: row for row in collected.at_sandbox("symbols", "--json").json}

    assert list(rows) == [*collected.names, collected.fund]
    assert rows[collected.fund]["state"] == "unknown"
    assert rows[collected.fund]["next_try"] > rows[collected.fund]["last_try"]
    covered = [row for row in rows.values() if row["state"] == "covered"]
    assert all(row["snapshots"] >= 1 and row["last_outcome"] in ("stored", "unchanged") for row in covered)


def test_how_a_symbol_stands_is_in_the_json_and_a_denied_company_in_the_table(stored: Path) -> None:
    symbols = {"PIPELINE_SYMBOLS__LIST": '["IBM", "KO"]', "PIPELINE_STATUS__STALE_AFTER_HOURS": "87600"}
    ibm, ko, pep = query(stored, "symbols", "--all", "--json", **symbols).json

    assert (ibm["state"], ibm["standing"], ibm["snapshots"]) == ("unknown", "unknown", 3)
    assert ibm["last_overview"] == text(30) < ibm["last_look"] == text(40)
    assert (ko["state"], ko["standing"], ko["configured_since"]) == ("pending", "pending", None)
    assert (pep["state"], pep["standing"], pep["configured_since"]) == ("covered", None, None)
    _header, *lines = table(query(stored, "symbols", "--all", **symbols))
    assert {line[0]: line[1] for line in lines} == {"IBM": "uncovered", "KO": "pending", "PEP": "covered"}
    assert lines[0][3:5] == [to_minute(text(30)), to_minute(text(40))]  # last observed, and last tried


def test_all_lists_symbols_that_are_no_longer_configured(collected: Collected) -> None:
    one = collected.names[0]

    rows = collected.at_sandbox("symbols", "--all", "--json", PIPELINE_SYMBOLS__LIST=json.dumps([one])).json

    assert rows[0]["symbol"] == one
    assert {row["symbol"] for row in rows} == {*collected.names, collected.fund}


def test_the_table_shows_the_last_try_only_if_one_found_nothing(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "copy.db")
    usual = collected("--database", str(copy), "symbols").out.splitlines()
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE symbols SET last_try = '2999-01-01T00:00:00.000Z' WHERE symbol = ?", (collected.names[0],))
        db.commit()
    header, first, *_ = collected("--database", str(copy), "symbols").out.splitlines()

    assert "last try" not in usual[0]
    assert all(len(line) <= 80 for line in usual)
    assert "last try" in header
    assert "2999-01-01 00:00" in first

"""What queries have in common: how they end without an answer, and that received text is harmless when printed."""

import asyncio
import csv
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from pipeline.cli.results import percent
from pipeline.errors import ExitCode
from pipeline.instants import for_people
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.collected import Collected
from tests.support.commands import assert_refused, call, query, rows
from tests.support.observations import after, database_of, seen, store_observations, text, uncovered

QUESTIONS = [["history", "IBM"], ["as-of", "now"], ["as-of", "now", "--original"], ["changes"], ["vintages", "IBM"]]


@pytest.mark.parametrize(
    "words", [["history", "IBN"], ["as-of", "now", "IBN"], ["changes", "IBN"], ["vintages", "IBN"]]
)
def test_an_unknown_symbol_ends_with_1_and_the_nearest_is_suggested(stored: Path, words: Sequence[str]) -> None:
    assert_refused(query(stored, *words), 1, "no snapshot of IBN", "did you mean IBM?")


@pytest.mark.parametrize(
    "words", [["history"], ["as-of", "now"], ["changes"], ["vintages"], ["export", "--output", "x.csv"]]
)
def test_why_a_symbol_has_no_snapshot_is_said_where_it_is_known(
    folder: Path, configure: Callable[[str], object], words: Sequence[str]
) -> None:
    database = database_of([seen(0), uncovered(1, "NONE"), uncovered(5, "NONE"), uncovered(2, "GONE")])
    with closing(sqlite3.connect(database)) as db, db:
        listing = "INSERT INTO universe (symbol, since, configuration) VALUES (?, ?, 'a.toml')"
        db.executemany(listing, [("NONE", text(0)), ("BRK-B", text(0))])
        db.execute("INSERT INTO symbols (symbol) VALUES ('ASKED')")
    configure('[symbols]\nlist = ["ADDED"]')
    at = for_people(after(1))

    def said(symbol: str) -> str:
        ended = call(folder, *words, symbol, "--database", str(database))
        assert ended.code == ExitCode.FAILED
        return ended.err

    assert f"no snapshot of NONE: it is listed, but the API has not covered it since {at} UTC; " in said("NONE")
    assert "no snapshot of GONE: the API has not covered it since" in said("GONE")
    assert "no snapshot of BRK.B: it is listed, and was not observed yet; " in said("BRK.B")
    assert "no snapshot of ASKED: it is requested, and was not observed yet; " in said("ASKED")
    assert "no snapshot of ADDED: it is listed, and was not observed yet; " in said("ADDED")
    assert "no snapshot of IBN: did you mean IBM?" in said("IBN")


@pytest.mark.parametrize(
    "words",
    [
        ["history", "IBM", "pe_rato"],
        ["history", "IBM", "--plot", "pe_rato"],
        ["as-of", "now", "--field", "PERato"],
        ["changes", "--field", "pe-rato"],
        ["vintages", "IBM", "pe_rato"],
        ["history", "IBM", "pe"],
    ],
)
def test_an_unknown_field_ends_with_2_and_the_nearest_is_suggested(stored: Path, words: Sequence[str]) -> None:
    assert_refused(query(stored, *words), 2, "did you mean", "pe_ratio")


@pytest.mark.parametrize(
    "words", [["as-of", "when"], ["history", "IBM", "--since", "2026-02-30"], ["changes", "--until", ""]]
)
def test_an_invalid_time_ends_with_2_and_valid_ones_are_named(stored: Path, words: Sequence[str]) -> None:
    assert_refused(query(stored, *words), 2, "2026-03-14", "yesterday", "7d")


def test_since_and_until_include_both_ends(stored: Path) -> None:
    bounds = ["--since", "2026-03-14T20:30:00Z", "--until", "2026-03-14T20:30"]
    assert [row["observed_at"] for row in rows(stored, "history", "IBM", *bounds)] == [text(2)]
    assert [row["observed_at"] for row in rows(stored, "history", "IBM", "--since", "2026-03-16")] == [text(30)]
    assert [row["observed_at"] for row in rows(stored, "history", "IBM", "--until", "2026-03-14")] == [text(0), text(2)]


@pytest.mark.parametrize("words", QUESTIONS)
def test_an_empty_or_missing_database_ends_with_1_and_a_remedy(tmp_path: Path, words: Sequence[str]) -> None:
    migrate(tmp_path / "migrated.db", now=START)
    (tmp_path / "empty.db").touch()
    for name in ("absent.db", "empty.db", "migrated.db"):
        assert_refused(query(tmp_path / name, *words), 1, str(tmp_path / name), "pipeline collect")
    assert not (tmp_path / "absent.db").exists()
    asyncio.run(store_observations(tmp_path / "migrated.db", [uncovered(0)]))
    assert_refused(query(tmp_path / "migrated.db", *words), 1, "no snapshot yet", "pipeline collect")


def test_a_query_writes_nothing(stored: Path) -> None:
    bytes_before = stored.read_bytes()
    for words in QUESTIONS:
        query(stored, *words)
    assert stored.read_bytes() == bytes_before


HOSTILE = "=1+1 \x1b[31mred\x07\x9b2J\u202e[bold]x[/bold]\r\nnext"


@pytest.fixture(scope="module")
def hostile() -> Path:
    calm = {"EPS": "1", "LatestQuarter": "2025-12-31", "RevenueTTM": "1"}
    return database_of([
        seen(0, Name="calm", Sector="@SUM(A1)", **calm),
        seen(1, Name=HOSTILE, Sector=HOSTILE, **{"=cmd|' /C calc'!A0\x1b[2J": HOSTILE}, **calm),
    ])  # fmt: skip


SHOWING_TEXT = [
    ["history", "IBM", "name", "sector"],
    ["as-of", "now", "--field", "Name"],
    ["changes", "--since", "2026-01-01"],
]


@pytest.mark.parametrize("words", [*SHOWING_TEXT, ["as-of", "now", "--original"], ["history", "IBM", "eps", "--plot"]])
def test_received_text_cannot_control_a_terminal(hostile: Path, words: Sequence[str]) -> None:
    for form in [[], ["--json"], ["--format", "jsonl"]]:
        ended = query(hostile, *words, *form)
        if ended.code == 0:
            assert ended.out.replace("\n", "").isprintable()
    assert query(hostile, *words).code == 0


@pytest.mark.parametrize("words", SHOWING_TEXT)
def test_received_text_is_shown_in_full(hostile: Path, words: Sequence[str]) -> None:
    out = query(hostile, *words).out
    assert r"=1+1 \x1b[31mred\x07\x9b2J" in out
    found = [value for row in query(hostile, *words, "--json").json for value in row.values()]
    assert HOSTILE in found


@pytest.mark.parametrize("words", SHOWING_TEXT)
def test_no_cell_of_a_csv_is_a_formula(hostile: Path, words: Sequence[str]) -> None:
    out = query(hostile, *words, "--format", "csv").out
    cells = [cell for row in csv.reader(StringIO(out, newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []
    assert f"'{HOSTILE}" in cells


def test_text_from_a_server_is_escaped(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE outcomes SET detail = ? WHERE run_id = 1", ("[red]a\x1b[2J\x9bb[/red]",))
        db.execute("UPDATE runs SET detail = ? WHERE id = 2", ("=HYPERLINK('[bold]a\x1b[2J')",))
        db.commit()

    for arguments in (["runs", "1"], ["runs", "1", "--json"], ["status"], ["status", "--json"], ["runs", "--json"]):
        out = collected("--database", str(copy), *arguments).out
        assert "\x1b" not in out
        assert "\x9b" not in out
    assert r"[red]a\x1b[2J\x9bb[/red]" in collected("--database", str(copy), "runs", "1").out
    assert "'=HYPERLINK" in collected("--database", str(copy), "runs", "--format", "csv").out


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, None),
        (0.051, "+5.1%"),
        (-1.0, "-100.0%"),
        (20.0, "+2,000%"),
        (-20.0, "-2,000%"),
        (1e308, "beyond +1,000,000%"),
        (float("-inf"), "beyond -1,000,000%"),
    ],
)
def test_a_relative_change_is_shown_in_percent(fraction: float | None, text: str | None) -> None:
    assert percent(fraction) == text

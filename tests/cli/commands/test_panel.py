"""`pipeline panel`: a grid of what was known, on the terminal and into files."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from tests.support.commands import Ended, assert_note, assert_refused, query, rows, run_shell, table
from tests.support.observations import text

GRID = ("--since", "2026-03-14", "--until", "2026-03-15")
ENDS = ["2026-03-14T23:59:59.999Z", "2026-03-15T23:59:59.999Z"]


def write(stored: Path, output: Path | str, *arguments: str) -> Ended:
    ended = query(stored, "panel", "pe_ratio", *GRID, "--output", str(output), *arguments)
    assert ended.code == 0, ended.err
    return ended


def test_each_symbol_at_each_instant_is_a_row(stored: Path) -> None:
    found = rows(stored, "panel", "PERatio", "eps", *GRID)
    assert found == [
        {"at": ENDS[0], "symbol": "IBM", "pe_ratio": 11.5, "eps": 1.0, "observed_at": text(2),
         "staleness_hours": pytest.approx(3.4999997, abs=1e-7)},
        {"at": ENDS[0], "symbol": "PEP", "pe_ratio": None, "eps": None, "observed_at": None, "staleness_hours": None},
        {"at": ENDS[1], "symbol": "IBM", "pe_ratio": 11.5, "eps": 1.0, "observed_at": text(2),
         "staleness_hours": pytest.approx(27.4999997, abs=1e-7)},
        {"at": ENDS[1], "symbol": "PEP", "pe_ratio": 20, "eps": None, "observed_at": text(26),
         "staleness_hours": pytest.approx(3.4999997, abs=1e-7)},
    ]  # fmt: skip
    shown = query(stored, "panel", "pe_ratio", *GRID, "--symbol", "ibm")
    assert table(shown)[:2] == [
        ["at", "symbol", "pe_ratio", "observed", "staleness"],
        ["2026-03-14 23:59", "IBM", "11.5", "2026-03-14 20:30", "3 h"],
    ]


def test_lag_and_staleness_are_spans_and_hours(stored: Path) -> None:
    found = rows(stored, "panel", "pe_ratio", *GRID, "--symbol", "IBM", "--lag", "20h", "--max-staleness", "24")
    assert [(row["pe_ratio"], row["staleness_hours"]) for row in found] == [
        (None, None),
        (11.5, pytest.approx(7.4999997)),
    ]


def test_wide_has_a_column_for_each_symbol(stored: Path) -> None:
    assert rows(stored, "panel", "pe_ratio", *GRID, "--wide") == [
        {"at": ENDS[0], "IBM": 11.5, "PEP": None},
        {"at": ENDS[1], "IBM": 11.5, "PEP": 20},
    ]
    assert_refused(query(stored, "panel", "pe_ratio", "eps", "--wide"), 2, "--wide", "name one")


def test_a_file_holds_what_stdout_shows(stored: Path, tmp_path: Path) -> None:
    said = query(stored, "panel", "pe_ratio", *GRID, "--format", "csv").out
    write(stored, tmp_path / "panel.csv")
    assert (tmp_path / "panel.csv").read_text() == said
    report = write(stored, tmp_path / "panel.csv.gz", "--json").json
    assert gzip.decompress((tmp_path / "panel.csv.gz").read_bytes()).decode() == said
    assert report["rows"] == 4
    assert report["bytes"] == (tmp_path / "panel.csv.gz").stat().st_size
    write(stored, tmp_path / "panel.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "panel.jsonl").read_text().splitlines()]
    assert [str(line["symbol"]) for line in lines] == [row["symbol"] for row in csv.DictReader(io.StringIO(said))]


@pytest.mark.parametrize("wide", [[], ["--wide"]])
def test_parquet_has_types(stored: Path, tmp_path: Path, wide: list[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write(stored, tmp_path / "panel.parquet", *wide)
    found = parquet.read_table(tmp_path / "panel.parquet")
    assert str(found.schema.field("at").type) == "timestamp[ms, tz=UTC]"
    lines = query(stored, "panel", "pe_ratio", *GRID, "--format", "jsonl", *wide).out.splitlines()
    said = [json.loads(line) for line in lines]
    name = "IBM" if wide else "pe_ratio"
    assert found.column(name).to_pylist() == [row[name] for row in said]
    assert found.num_rows == len(said)


def test_the_instants_of_a_file_are_in_order_and_once(stored: Path, tmp_path: Path) -> None:
    instants = tmp_path / "instants.txt"
    instants.write_text("# ends of days\n2026-03-15\n\n2026-03-14T20:30Z\n2026-03-14T21:30+01:00\r\n")
    found = rows(stored, "panel", "pe_ratio", "--at", str(instants), "--symbol", "IBM")
    assert [(row["at"], row["observed_at"]) for row in found] == [(text(2), text(2)), (ENDS[1], text(2))]

    instants.write_text("2026-03-14\n14.3.2026\n")
    assert_refused(query(stored, "panel", "--at", str(instants)), 1, "line 2", "2026-03-14T18:30Z")
    assert_refused(query(stored, "panel", "--at", str(tmp_path / "none")), 1, "none", "no such file")
    assert_refused(query(stored, "panel", "--at", "/dev/zero"), 1, "/dev/zero", "not a regular file")
    instants.write_text("\n")
    assert_refused(query(stored, "panel", "--at", str(instants)), 2, "names none")


def test_a_calendar_has_closes(stored: Path) -> None:
    pytest.importorskip("exchange_calendars")
    grid = ("--calendar", "XNYS", "--since", "2026-03-13", "--until", "2026-03-16", "--symbol", "IBM")
    assert [row["at"][:16] for row in rows(stored, "panel", "pe_ratio", *grid)] == [
        "2026-03-13T20:00",
        "2026-03-16T20:00",
    ]
    assert_refused(query(stored, "panel", "--calendar", "XNYX"), 2, "XNYX", "XNYS")


def test_where_nothing_was_known_it_says_so(stored: Path) -> None:
    ended = query(stored, "panel", "pe_ratio", "--since", "2026-03-01", "--until", "2026-03-02", "--json")
    assert (ended.code, len(ended.json)) == (0, 4)
    assert_note(ended, "nothing was known", "2026-03-14")
    ended = query(stored, "panel", "pe_ratio", *GRID, "--lag", "200000w", "--universe", "--json")
    assert (ended.code, ended.json) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "x", "--every", "1d"], ["--at", "--every"]),
        (["--since", "2026-03-15", "--until", "2026-03-14"], ["--until"]),
        (["--lag", "1y"], ["--lag", "1d"]),
        (["--lag", "-1d"], ["--lag", "1d"]),
        (["--every", "1y"], ["1q"]),
        (["--since", "2026-13-01"], ["--since", "2026-03-14"]),
        (["--format", "parquet"], ["--output"]),
        (["--output", "x.xls"], [".parquet"]),
        (["--output", "x.parquet.gz"], [".parquet"]),
        (["--output", "x.csv", "--format", "table"], ["--output"]),
        (["--since", "1900-01-01", "--until", "2060-01-01"], ["rows are too many", "--output"]),
        (["nope"], ["nope"]),
    ],
)
def test_what_cannot_be_is_refused(stored: Path, arguments: list[str], words: list[str]) -> None:
    assert_refused(query(stored, "panel", *arguments), 2, *words)


def test_the_database_is_no_output(stored: Path) -> None:
    ended = query(stored, "panel", "eps", *GRID, "--output", str(stored), "--format", "csv")
    assert_refused(ended, 1, "must not be overwritten")


@pytest.mark.process
def test_stdout_takes_a_file_too_and_a_reader_that_leaves_early_ends_it_quietly(stored: Path) -> None:
    grid = "--since 2000-01-01 --until 2026-03-14"
    ended = run_shell(stored.parent, f'"$PIPELINE" panel eps --database {stored} {grid} --output - | head -n 1')
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "at,symbol,eps,observed_at,staleness_hours\n"

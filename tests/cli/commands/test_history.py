"""`pipeline history`: one company over time, as rows or as a plot."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.commands import assert_refused, call, query, rows, table
from tests.support.observations import database_of, seen, text, uncovered


def test_each_snapshot_is_a_row(stored: Path) -> None:
    assert rows(stored, "history", "ibm", "PERatio", "revenue_ttm", "--until", "2026-03-15") == [
        {"symbol": "IBM", "observed_at": text(0), "confirmed_at": text(1), "pe_ratio": 10, "revenue_ttm": 100,
         "suspicions": []},
        {"symbol": "IBM", "observed_at": text(2), "confirmed_at": text(2), "pe_ratio": 11.5, "revenue_ttm": 104,
         "suspicions": []},
    ]  # fmt: skip
    assert table(query(stored, "history", "IBM", "pe_ratio")) == [
        ["observed", "confirmed", "pe_ratio"],
        ["2026-03-14 18:30", "2026-03-14 19:30", "10.0"],
        ["2026-03-14 20:30", "2026-03-14 20:30", "11.5"],
        ["2026-03-16 00:30", "2026-03-16 00:30", "11.5"],
    ]


def test_suspicious_changes_are_listed_with_their_snapshot(stored: Path) -> None:
    found = rows(stored, "history", "IBM", "--since", "2026-03-16")
    assert [row["suspicions"] for row in found] == [["revenue_ttm: collapsed"]]


def test_an_interval_without_snapshots_ends_with_1_and_names_the_first(stored: Path) -> None:
    for form, out in ((("--json",), "[]\n"), (("--format", "jsonl"), ""), ((), "")):
        ended = query(stored, "history", "ibm", "--until", "2026-03-13", *form)
        assert (ended.code, ended.out) == (1, out)
        assert "IBM" in ended.err
        assert "2026-03-14 18:30:00 UTC" in ended.err
    header = query(stored, "history", "IBM", "eps", "--until", "2026-03-13", "--format", "csv").out
    assert header == "symbol,observed_at,confirmed_at,eps\n"


@pytest.mark.parametrize("words", [["--plot", "pe_ratio"], ["pe_ratio", "--plot"], ["--plot", "PERatio", "EPS"]])
def test_plot_draws_fields_named_before_or_after_it(stored: Path, words: Sequence[str]) -> None:
    ended = query(stored, "history", "IBM", *words)
    assert (ended.code, ended.err) == (0, "")
    assert "pe_ratio" in ended.out
    assert "11.5" in ended.out
    assert ("eps" in ended.out) == ("EPS" in words)
    assert "\x1b" not in ended.out


def test_plot_draws_into_a_file(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    ended = query(stored, "history", "IBM", "pe_ratio", "--plot", str(tmp_path / "ibm.svg"))
    assert (ended.code, ended.out) == (0, "")
    assert "ibm.svg" in ended.err
    assert "<svg" in (tmp_path / "ibm.svg").read_text()


def test_plot_says_that_a_company_of_the_sandbox_is_invented(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    database = str(tmp_path / "invented.db")
    assert call(tmp_path, "collect", "--sandbox", "--latency", "0", "--database", database, "QUVEX").code == 0

    assert call(tmp_path, "history", "QUVEX", "--plot", "quvex.svg", "--database", database).code == 0
    assert "QUVEX (invented)" in (tmp_path / "quvex.svg").read_text()
    on_terminal = call(tmp_path, "history", "QUVEX", "--plot", "--database", database)
    assert on_terminal.out.startswith("QUVEX (invented)")
    assert "invented" not in query(stored, "history", "IBM", "--plot").out


def test_plot_says_since_when_a_company_is_not_covered() -> None:
    database = database_of([seen(0, PERatio="10"), uncovered(40), uncovered(60), seen(100, PERatio="10"),
                            seen(120, PERatio="12"), uncovered(140)])  # fmt: skip
    out = query(database, "history", "IBM", "pe_ratio", "--plot").out
    assert "░ not covered" in out
    assert "not covered since 2026-03-20" in out
    earlier = query(database, "history", "IBM", "pe_ratio", "--plot", "--until", "2026-03-15").out
    assert "not covered" not in earlier  # it looks ahead no further than it is asked to


def test_plot_confirms_nothing_while_a_company_was_not_covered() -> None:
    database = database_of([seen(0, PERatio="10"), uncovered(40), uncovered(60), seen(100, PERatio="10"),
                            seen(0, "PEP", PERatio="20"), seen(100, "PEP", PERatio="20")])  # fmt: skip
    out = query(database, "history", "IBM", "PEP", "pe_ratio", "--plot").out
    (ibm,) = [line for line in out.splitlines() if line.startswith("10")]
    assert " " * 20 in ibm.rstrip()
    earlier = query(database, "history", "IBM", "PEP", "pe_ratio", "--plot", "--until", "2026-03-16T12:00Z").out
    assert earlier == out  # the snapshot is the same, and is drawn to its end
    assert "changed in between" in out


def test_plot_marks_what_is_suspicious_and_nothing_else(stored: Path) -> None:
    usual = query(stored, "history", "IBM", "pe_ratio", "--plot")
    assert "suspicious" not in usual.out
    assert "suspicious" in query(stored, "history", "IBM", "revenue_ttm", "--plot").out


def test_plot_draws_several_companies_in_one_picture(stored: Path) -> None:
    for words in (["PEP", "--plot", "pe_ratio"], ["pe_ratio", "pep", "--plot"], ["--plot", "PEP", "PERatio"],
                  ["PEP", "--field", "pe_ratio", "--plot"], ["PEP", "PEP", "ibm", "pe_ratio", "--plot"]):  # fmt: skip
        ended = query(stored, "history", "IBM", *words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("IBM, PEP\n")
        assert "pe_ratio" in ended.out
    assert "market_capitalization" in query(stored, "history", "IBM", "PEP", "--plot").out


def test_indexed_draws_per_cent_of_the_value_where_all_begin(stored: Path) -> None:
    ended = query(stored, "history", "IBM", "pe_ratio", "--plot", "--indexed")
    assert ended.code == 0
    assert "100 → 115" in ended.out
    assert_refused(query(stored, "history", "IBM", "--indexed"), 2, "--plot")


def test_a_word_that_names_a_field_is_one_whatever_the_symbols_are(stored: Path) -> None:
    assert_refused(query(stored, "history", "IBM", "pe_ratio", "--field", "eps", "--plot"), 1, "PE_RATIO")
    assert_refused(query(stored, "history", "IBM", "IBN", "--plot"), 2, "'IBN'", "did you mean IBM?")
    assert_refused(query(stored, "history", "IBM", "pe_rato"), 2, "'pe_rato'", "did you mean pe_ratio")
    assert_refused(query(stored, "history", "IBM", "ZZZZZ"), 2, "pipeline fields", "pipeline symbols")
    assert_refused(query(stored, "history", "IBM", "PEP"), 2, "--plot")
    assert_refused(query(stored, "history", "IBM", *[f"S{number}" for number in range(9)], "--plot"), 2, "S0")


def test_plot_creates_no_folder(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    file = tmp_path / "absent" / "ibm.svg"
    assert_refused(query(stored, "history", "IBM", "pe_ratio", "--plot", str(file)), 1, str(file), "create ")
    assert not file.parent.exists()


def test_what_cannot_be_drawn_is_refused(stored: Path) -> None:
    assert_refused(query(stored, "history", "IBM", "name", "--plot"), 2, "only numbers can be drawn")
    assert_refused(query(stored, "history", "IBM", "--plot", "ibm.gif"), 2, "ibm.gif", "FILE.svg, .png, .pdf or .html")
    assert_refused(query(stored, "history", "IBM", "--until", "2020-01-01", "--plot"), 1, "nothing to draw")

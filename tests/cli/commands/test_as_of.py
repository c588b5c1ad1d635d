"""`pipeline as-of`: what was known at a point in time, and what an answer omits."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.commands import assert_note, assert_refused, query, rows, table
from tests.support.observations import Observed, after, database_of, seen, store_observations, text, uncovered
from tests.support.renames import configure, rename


def test_each_symbol_is_a_row_with_its_staleness(stored: Path) -> None:
    assert rows(stored, "as-of", "2026-03-15", "--field", "PERatio") == [
        {"symbol": "IBM", "observed_at": text(2), "confirmed_at": text(2),
         "staleness_hours": pytest.approx(27.4999997, abs=1e-7), "pe_ratio": 11.5},
        {"symbol": "PEP", "observed_at": text(26), "confirmed_at": text(26),
         "staleness_hours": pytest.approx(3.4999997, abs=1e-7), "pe_ratio": 20},
    ]  # fmt: skip
    assert table(query(stored, "as-of", "2026-03-15", "ibm", "--field", "pe_ratio")) == [
        ["symbol", "observed", "staleness", "pe_ratio"],
        ["IBM", "2026-03-14 20:30", "27 h", "11.5"],
    ]


def test_later_observations_change_no_answer() -> None:
    path = database_of([seen(0, PERatio="1"), seen(1, "PEP", PERatio="5")])
    commands = [("as-of", "2026-03-14T20:00", *rest) for rest in (["--json"], [], ["--original"], ["--format", "csv"])]
    before = [query(path, *one) for one in commands]
    later = [seen(9, PERatio="1"), seen(8, PERatio="2"), seen(1.6, "PEP", PERatio="5"), uncovered(3, "PEP")]
    asyncio.run(store_observations(path, later))
    assert [query(path, *one) for one in commands] == before
    assert all(one.code == 0 and one.err == "" for one in before)


def test_max_staleness_omits_older_observations_and_says_so(stored: Path) -> None:
    ended = query(stored, "as-of", "2026-03-15", "--max-staleness", "24", "--json")
    assert [row["symbol"] for row in ended.json] == ["PEP"]
    assert_note(ended, "1 symbol ", "24 h", "2026-03-15 23:59:59 UTC")
    none = query(stored, "as-of", "2026-03-15", "--max-staleness", "0.5", "--json")
    assert (none.code, none.out) == (0, "[]\n")
    assert_note(none, "2 symbols", "0.5 h")
    original = query(stored, "as-of", "2026-03-15", "--max-staleness", "24", "--original")
    assert [json.loads(line)["Symbol"] for line in original.out.splitlines()] == ["PEP"]
    assert len(query(stored, "as-of", "2026-03-15", "--max-staleness", "99999999", "--json").json) == 2


@pytest.mark.parametrize("hours", ["inf", "nan", "1e12", "-1", "x"])
def test_an_invalid_staleness_is_refused(stored: Path, hours: str) -> None:
    assert_refused(query(stored, "as-of", "2026-03-15", "--max-staleness", hours), 2, "--max-staleness")


def test_original_prints_exactly_what_was_received(tmp_path: Path) -> None:
    received = {
        "EPS": "1.50",
        "Symbol": "IBM",
        "New": {"b": [1, 1.0, None], "a": "é\u202e\x9b"},
        "PERatio": "-",
        "Beta": 1,
    }
    path = database_of([Observed("IBM", after(0), received)])
    ended = query(path, "as-of", "now", "--original")
    assert json.dumps(json.loads(ended.out)) == json.dumps(received)
    assert ended.out.count("\n") == 1
    assert ended.out[:-1].isprintable()
    for other in (["--field", "eps"], ["--json"], ["--format", "csv"]):
        assert_refused(query(path, "as-of", "now", "--original", *other), 2, "--original prints whole documents")


def test_before_the_first_snapshot_it_ends_with_1_and_names_the_first(stored: Path) -> None:
    for form, out in ((["--json"], "[]\n"), ([], ""), (["--original"], "")):
        ended = query(stored, "as-of", "2026-03-14T18:29:59", *form)
        assert (ended.code, ended.out) == (1, out)
        assert_note(ended, "2026-03-14 18:29:59 UTC", "2026-03-14 18:30:00 UTC")
    ended = query(stored, "as-of", "2026-03-14", "PEP", "--json")
    assert (ended.code, ended.json) == (1, [])
    assert_note(ended, "its first snapshot", "2026-03-15 20:30:00 UTC")
    assert_note(query(stored, "as-of", "2026-03-13", "PEP", "IBM"), "their first snapshot", "2026-03-14 18:30:00 UTC")
    assert_note(query(stored, "as-of", "2026-03-13"), "the first snapshot", "2026-03-14 18:30:00 UTC")
    some = query(stored, "as-of", "2026-03-14", "PEP", "IBM", "--json")
    assert [row["symbol"] for row in some.json] == ["IBM"]
    assert some.code == 0
    assert_note(some, "1 of the 2")


def test_a_renamed_company_is_one_row_for_both_symbols_and_another_is_named_with_an_instant() -> None:
    path = database_of([seen(0, "FB", EPS="1"), seen(2, "META", EPS="2"), seen(3, "FB", EPS="90")])
    configure(path, rename("FB", "META", after(1)))

    both = query(path, "as-of", "2026-03-15", "FB", "META", "--field", "eps", "--json")
    other = query(path, "as-of", "2026-03-15", "fb@2026-03-15", "--field", "eps", "--json")

    assert [(row["symbol"], row["eps"], row["observed_symbol"]) for row in both.json] == [("META", 2, "META")]
    assert both.err == ""
    assert [(row["eps"], row["observed_symbol"]) for row in other.json] == [(90, "FB")]
    assert other.json[0]["symbol"].startswith("FB@2026-03-14")
    assert_refused(query(path, "as-of", "2026-03-15", "FB@then"), 1, "FB@THEN", "timestamp")


def test_plot_draws_a_dot_for_each_company(stored: Path, tmp_path: Path) -> None:
    drawn = query(stored, "as-of", "2026-03-20", "--plot", "eps", "pe_ratio")
    assert (drawn.code, drawn.err) == (0, "")
    assert "pe_ratio" in drawn.out
    assert "IBM" in drawn.out
    assert "1 without a value left out" in drawn.out  # PEP has no EPS
    rowed = query(stored, "as-of", "2026-03-20", "PEP", "--plot", "name", "PERatio")
    assert "Pop (1)" in rowed.out
    assert "IBM" not in rowed.out
    assert query(stored, "as-of", "2026-03-20", "--plot", "symbol", "pe_ratio").code == 0

    pytest.importorskip("vl_convert")
    file = tmp_path / "section.svg"
    saved = query(stored, "as-of", "2026-03-20", "--plot", "eps", "pe_ratio", "--output", str(file))
    assert (saved.code, saved.out) == (0, "")
    assert "section.svg" in saved.err
    assert "<svg" in file.read_text()


def test_a_plot_that_cannot_be_drawn_is_refused(stored: Path) -> None:
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "sector"), 2, "name", "sector", "pe_ratio")
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "pe_rato"), 2, "pe_rato", "did you mean pe_ratio")
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "beta"), 1, "beta")
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "eps", "--output", "a.gif"), 2, "a.gif", ".html")
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "eps", "--output", ".svg"), 2, "FILE.svg")
    assert_refused(query(stored, "as-of", "now", "--output", "a.svg"), 2, "--plot")
    for words in (["--json"], ["--format", "csv"], ["--original"], ["--field", "eps"]):
        assert_refused(query(stored, "as-of", "now", "--plot", "name", "eps", *words), 2, words[0])
    assert_refused(query(stored, "as-of", "now", "--plot", "name", "--universe"), 2, "--plot takes two fields")
    stale = query(stored, "as-of", "2026-03-15", "--max-staleness", "0.5", "--plot", "name", "eps")
    assert (stale.code, stale.out) == (1, "")
    assert "nothing to draw" in stale.err
    nothing = query(stored, "as-of", "2020-01-01", "--plot", "name", "eps")
    assert (nothing.code, nothing.out) == (1, "")

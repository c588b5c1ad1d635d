"""The verbs that ask: what they print for people and for programs, and how they end where there is no answer."""

import asyncio
import csv
import json
import subprocess
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.anomalies import RULES
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.store.migrate import migrate
from pipeline.store.runs import RunResult, Store
from pipeline.store.writer import open_writer
from tests.cli.test_app import assert_refused
from tests.support.clocks import START
from tests.support.commands import PIPELINE, Ended, call, environment
from tests.support.looks import Look, after, gone, keep, record, seen, text

Q1, Q2 = "2025-12-31", "2026-03-31"
PROFILE = {"Name": "An Example Inc", "CIK": "1"}


@pytest.fixture(scope="module")
def kept() -> Path:
    """Two companies: one that changed, was restated and lost its cover, and one seen once, later."""
    return record([
        seen(0, PERatio="10", EPS="1", LatestQuarter=Q1, RevenueTTM="100", **PROFILE),
        seen(1, PERatio="10", EPS="1", LatestQuarter=Q1, RevenueTTM="100", **PROFILE),
        seen(2, PERatio="11.5", EPS="1.0", LatestQuarter=Q1, RevenueTTM="104", New="x", **PROFILE),
        seen(30, PERatio="11.5", EPS="1.0", LatestQuarter=Q2, RevenueTTM="0", New="x", **PROFILE),
        gone(40),
        seen(26, "PEP", PERatio="20", Name="Pop"),
    ])  # fmt: skip


def ask(path: Path, *arguments: str) -> Ended:
    return call(path.parent, *arguments, "--database", str(path))


def rows(path: Path, *arguments: str) -> Any:
    """Return what `--json` printed, once all three forms were found to say the same."""
    ended = ask(path, *arguments, "--json")
    assert ended.code == 0, ended.err
    array = ended.json
    lines = [json.loads(line) for line in ask(path, *arguments, "--format", "jsonl").out.splitlines()]
    assert [{name: row[name] for name in line} for row, line in zip(array, lines, strict=True)] == lines
    cells = list(csv.DictReader(StringIO(ask(path, *arguments, "--format", "csv").out, newline="")))
    assert [list(row) for row in cells] == [list(line) for line in lines]
    assert [list(row.values()) for row in cells] == [[_cell(value) for value in line.values()] for line in lines]
    return array


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def assert_notes(ended: Ended, *words: str) -> None:
    """It printed one note, with these words in it."""
    assert ended.err.startswith("pipeline: ")
    assert ended.err.count("\n") == 1
    for word in words:
        assert word in ended.err


def table(ended: Ended) -> list[list[str]]:
    """Return the cells of a table, which lie two spaces apart at least."""
    assert ended.code == 0, ended.err
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in ended.out.splitlines()]


# history


def test_history_is_a_row_a_snapshot(kept: Path) -> None:
    assert rows(kept, "history", "ibm", "PERatio", "revenue_ttm", "--until", "2026-03-15") == [
        {"symbol": "IBM", "observed_at": text(0), "confirmed_at": text(1), "pe_ratio": 10, "revenue_ttm": 100,
         "suspicions": []},
        {"symbol": "IBM", "observed_at": text(2), "confirmed_at": text(2), "pe_ratio": 11.5, "revenue_ttm": 104,
         "suspicions": []},
    ]  # fmt: skip
    assert table(ask(kept, "history", "IBM", "pe_ratio")) == [
        ["observed", "confirmed", "pe_ratio"],
        ["2026-03-14 18:30", "2026-03-14 19:30", "10.0"],
        ["2026-03-14 20:30", "2026-03-14 20:30", "11.5"],
        ["2026-03-16 00:30", "2026-03-16 00:30", "11.5"],
    ]


def test_history_points_out_what_is_suspicious(kept: Path) -> None:
    told = rows(kept, "history", "IBM", "--since", "2026-03-16")
    assert [row["suspicions"] for row in told] == [["revenue_ttm: collapsed"]]


def test_since_and_until_include_both_ends(kept: Path) -> None:
    bounds = ["--since", "2026-03-14T20:30:00Z", "--until", "2026-03-14T20:30"]
    assert [row["observed_at"] for row in rows(kept, "history", "IBM", *bounds)] == [text(2)]
    assert [row["observed_at"] for row in rows(kept, "history", "IBM", "--since", "2026-03-16")] == [text(30)]
    assert [row["observed_at"] for row in rows(kept, "history", "IBM", "--until", "2026-03-14")] == [text(0), text(2)]


def test_a_time_in_which_nothing_was_observed_ends_with_1_and_says_when_the_record_begins(kept: Path) -> None:
    for form, out in ((("--json",), "[]\n"), (("--format", "jsonl"), ""), ((), "")):
        ended = ask(kept, "history", "ibm", "--until", "2026-03-13", *form)
        assert (ended.code, ended.out) == (1, out)
        assert "IBM" in ended.err
        assert "2026-03-14 18:30:00 UTC" in ended.err
    header = ask(kept, "history", "IBM", "eps", "--until", "2026-03-13", "--format", "csv").out
    assert header == "symbol,observed_at,confirmed_at,eps\n"


@pytest.mark.parametrize("words", [["--plot", "pe_ratio"], ["pe_ratio", "--plot"], ["--plot", "PERatio", "EPS"]])
def test_plot_draws_the_fields_named_before_or_behind_it(kept: Path, words: Sequence[str]) -> None:
    ended = ask(kept, "history", "IBM", *words)
    assert (ended.code, ended.err) == (0, "")
    assert "pe_ratio" in ended.out
    assert "11.5" in ended.out
    assert ("eps" in ended.out) == ("EPS" in words)
    assert "\x1b" not in ended.out


def test_plot_draws_into_a_file(kept: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ended = ask(kept, "history", "IBM", "pe_ratio", "--plot", str(tmp_path / "ibm.svg"))
    assert (ended.code, ended.out) == (0, "")
    assert "ibm.svg" in ended.err
    assert "<svg" in (tmp_path / "ibm.svg").read_text()


def test_what_cannot_be_drawn_is_refused(kept: Path) -> None:
    assert_refused(ask(kept, "history", "IBM", "name", "--plot"), 2, "only numbers can be drawn")
    assert_refused(ask(kept, "history", "IBM", "--plot", "ibm.pdf"), 2, "ibm.pdf", "FILE.svg, .png or .html")
    assert_refused(ask(kept, "history", "IBM", "--until", "2020-01-01", "--plot"), 1, "nothing to draw")


# as-of


def test_as_of_is_a_row_a_symbol_with_how_stale_it_was(kept: Path) -> None:
    assert rows(kept, "as-of", "2026-03-15", "--field", "PERatio") == [
        {"symbol": "IBM", "observed_at": text(2), "confirmed_at": text(2),
         "staleness_hours": pytest.approx(27.4999997, abs=1e-7), "pe_ratio": 11.5},
        {"symbol": "PEP", "observed_at": text(26), "confirmed_at": text(26),
         "staleness_hours": pytest.approx(3.4999997, abs=1e-7), "pe_ratio": 20},
    ]  # fmt: skip
    assert table(ask(kept, "as-of", "2026-03-15", "ibm", "--field", "pe_ratio")) == [
        ["symbol", "observed", "last seen before", "pe_ratio"],
        ["IBM", "2026-03-14 20:30", "27 h", "11.5"],
    ]


def test_what_was_seen_later_changes_nothing_that_was_known() -> None:
    path = record([seen(0, PERatio="1"), seen(1, "PEP", PERatio="5")])
    asked = [("as-of", "2026-03-14T20:00", *rest) for rest in (["--json"], [], ["--original"], ["--format", "csv"])]
    before = [ask(path, *one) for one in asked]
    later = [seen(9, PERatio="1"), seen(8, PERatio="2"), seen(1.6, "PEP", PERatio="5"), gone(3, "PEP")]
    asyncio.run(keep(path, later))
    assert [ask(path, *one) for one in asked] == before
    assert all(one.code == 0 and one.err == "" for one in before)


def test_max_staleness_leaves_out_what_was_last_seen_longer_before_and_says_so(kept: Path) -> None:
    ended = ask(kept, "as-of", "2026-03-15", "--max-staleness", "24", "--json")
    assert [row["symbol"] for row in ended.json] == ["PEP"]
    assert_notes(ended, "1 symbols", "24 h", "2026-03-15 23:59:59 UTC")
    none = ask(kept, "as-of", "2026-03-15", "--max-staleness", "0.5", "--json")
    assert (none.code, none.out) == (0, "[]\n")
    assert_notes(none, "2 symbols", "0.5 h")
    original = ask(kept, "as-of", "2026-03-15", "--max-staleness", "24", "--original")
    assert [json.loads(line)["Symbol"] for line in original.out.splitlines()] == ["PEP"]
    assert len(ask(kept, "as-of", "2026-03-15", "--max-staleness", "99999999", "--json").json) == 2


@pytest.mark.parametrize("hours", ["inf", "nan", "1e12", "-1", "x"])
def test_a_staleness_that_is_no_span_is_refused(kept: Path, hours: str) -> None:
    assert_refused(ask(kept, "as-of", "2026-03-15", "--max-staleness", hours), 2, "--max-staleness")


def test_the_original_is_to_the_letter(tmp_path: Path) -> None:
    received = {
        "EPS": "1.50",
        "Symbol": "IBM",
        "New": {"b": [1, 1.0, None], "a": "é\u202e\x9b"},
        "PERatio": "-",
        "Beta": 1,
    }
    path = record([Look("IBM", after(0), received)])
    ended = ask(path, "as-of", "now", "--original")
    assert json.dumps(json.loads(ended.out)) == json.dumps(received)
    assert ended.out.count("\n") == 1
    assert ended.out[:-1].isprintable()
    for other in (["--field", "eps"], ["--json"], ["--format", "csv"]):
        assert_refused(ask(path, "as-of", "now", "--original", *other), 2, "--original prints whole documents")


def test_before_the_first_snapshot_nothing_was_known_and_it_says_when_the_record_begins(kept: Path) -> None:
    for form, out in ((["--json"], "[]\n"), ([], ""), (["--original"], "")):
        ended = ask(kept, "as-of", "2026-03-14T18:29:59", *form)
        assert (ended.code, ended.out) == (1, out)
        assert_notes(ended, "2026-03-14 18:29:59 UTC", "2026-03-14 18:30:00 UTC")
    ended = ask(kept, "as-of", "2026-03-14", "PEP", "--json")
    assert (ended.code, ended.json) == (1, [])
    assert_notes(ended, "2026-03-15 20:30:00 UTC")
    some = ask(kept, "as-of", "2026-03-14", "PEP", "IBM", "--json")
    assert [row["symbol"] for row in some.json] == ["IBM"]
    assert some.code == 0
    assert_notes(some, "1 of the 2")


# changes


def test_changes_tell_both_values_and_when_each_was_seen(kept: Path) -> None:
    told = rows(kept, "changes", "--since", "2026-01-01")
    assert [(row["field"], row["kind"], row["before"], row["after"]) for row in told] == [
        ("revenue_ttm", "changed", 100, 104),
        ("pe_ratio", "changed", 10, 11.5),
        ("New", "appeared", None, "x"),
        ("latest_quarter", "changed", Q1, Q2),
        ("revenue_ttm", "changed", 104, 0),
        ("state", "uncovered", "covered", "unknown"),
    ]
    assert told[1] == {
        "symbol": "IBM", "field": "pe_ratio", "part": "daily", "kind": "changed", "before": 10.0, "after": 11.5,
        "change": 0.15, "last_confirmed_at": text(1), "observed_at": text(2), "suspicion": None,
    }  # fmt: skip
    assert table(ask(kept, "changes", "IBM", "--since", "2026-01-01", "--field", "PERatio")) == [
        ["symbol", "field", "before", "after", "change", "last seen", "observed"],
        ["IBM", "pe_ratio", "10.0", "11.5", "+15.0%", "2026-03-14 19:30", "2026-03-14 20:30"],
    ]


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["--part", "daily"], ["pe_ratio"]),
        (["--part", "reported", "--min-change", "5%"], ["latest_quarter", "revenue_ttm"]),
        (["--part", "reported", "--min-change", "0.04"], ["revenue_ttm", "latest_quarter", "revenue_ttm"]),
        (["--min-change", "15%", "--part", "daily"], ["pe_ratio"]),
        (["--min-change", "0.151", "--part", "daily"], []),
        (["--suspicious"], ["revenue_ttm"]),
        (["--field", "EPS"], []),
        (["PEP"], []),
    ],
)
def test_changes_are_narrowed_down(kept: Path, words: Sequence[str], fields: Sequence[str]) -> None:
    assert [row["field"] for row in rows(kept, "changes", "--since", "2026-01-01", *words)] == fields


def test_a_value_that_is_no_text_and_no_number_is_the_json_it_was_received_as() -> None:
    path = record([seen(0, New={"a": "é"}, EPS="1"), seen(1, New={"a": [1, None]}, EPS=True)])
    told = ask(path, "changes", "--json").json
    assert [(row["before"], row["after"]) for row in told] == [(1, True), ({"a": "é"}, {"a": [1, None]})]
    cells = list(csv.DictReader(StringIO(ask(path, "changes", "--format", "csv").out)))
    assert [(row["before"], row["after"]) for row in cells] == [("1.0", "true"), ('{"a": "é"}', '{"a": [1, null]}')]
    assert [line[2:4] for line in table(ask(path, "changes"))[1:]] == [[row["before"], row["after"]] for row in cells]


@pytest.mark.parametrize("fraction", ["five", "-5%", "5 %", "5%%", "1e3", "", "nan"])
def test_a_min_change_that_is_no_fraction_is_refused(kept: Path, fraction: str) -> None:
    assert_refused(ask(kept, "changes", "--min-change", fraction), 2, "--min-change", "5% or 0.05")


def test_where_nothing_changed_it_says_so_and_ends_with_0(kept: Path) -> None:
    none = ask(kept, "changes", "PEP", "--since", "2026-01-01")
    assert (none.code, none.out) == (0, "")
    assert_notes(none, "no changes")
    ended = ask(kept, "changes", "PEP", "--since", "2026-01-01", "--suspicious", "--json")
    assert (ended.code, ended.out) == (0, "[]\n")
    assert_notes(ended, "no suspicious")


def test_without_since_changes_are_those_since_the_last_run_began() -> None:
    path = record([seen(0, EPS="1"), seen(1, EPS="2")])

    async def ran() -> None:
        async with open_writer(path) as writer:
            store = Store(writer)
            for trigger, hours, requests in ((Trigger.MANUAL, 5, 1), (Trigger.MANUAL, 7, 0), (Trigger.IMPORT, 8, 0)):
                run = await store.begin(trigger, at=after(hours), symbols=1, due=1)
                tally = RunResult(RunStatus.COMPLETE, {}, requests, 1.0, None)
                await store.finish(run, tally, at=after(hours))

    everything = ask(path, "changes", "--json")
    assert [row["after"] for row in everything.json] == [2]
    assert_notes(everything, "no run yet")
    asyncio.run(ran())
    asyncio.run(keep(path, [seen(5, EPS="3"), seen(6, EPS="4")]))
    ended = ask(path, "changes", "--json")
    assert [(row["before"], row["after"]) for row in ended.json] == [(2, 3), (3, 4)]
    assert_notes(ended, "last run", "2026-03-14 23:30:00 UTC")
    assert [row["after"] for row in ask(path, "changes", "--until", "2026-03-14T23:30", "--json").json] == [2, 3]


def test_the_help_of_changes_tells_every_rule(tmp_path: Path) -> None:
    said = "".join(call(tmp_path, "changes", "--help").out.split())
    for suspicion, rule in RULES.items():
        assert "".join(f"{suspicion}: {rule}".split()) in said


# vintages


def test_vintages_are_by_quarter_with_when_each_was_known(kept: Path) -> None:
    told = rows(kept, "vintages", "IBM", "RevenueTTM")
    assert [list(row.values())[2:] for row in told] == [
        [Q1, 100, text(0), text(1), False, None, None],
        [Q1, 104, text(2), text(2), True, 100, 0.04],
        [Q2, 0, text(30), text(30), False, None, None],
    ]
    assert table(ask(kept, "vintages", "ibm", "revenue_ttm"))[:3] == [
        ["field", "quarter", "value", "known_from", "known_until", "change"],
        ["revenue_ttm", Q1, "100", "2026-03-14 18:30", "2026-03-14 19:30", "-"],
        ["revenue_ttm", Q1, "104", "2026-03-14 20:30", "2026-03-14 20:30", "restated", "+4.0%"],
    ]


def test_vintages_of_dates_say_what_is_a_restatement_too() -> None:
    path = record([seen(hours, LatestQuarter=Q1, DividendDate=day) for hours, day in enumerate([Q1, Q2])])
    told = rows(path, "vintages", "IBM", "DividendDate", "RevenueTTM")
    assert [(row["value"], row["is_restatement"]) for row in told] == [(Q1, False), (Q2, True)]
    assert [row[5:] for row in table(ask(path, "vintages", "IBM", "dividend_date"))[1:]] == [["-"], ["restated", "-"]]


def test_all_lists_the_restatements_of_every_symbol(kept: Path) -> None:
    (row,) = rows(kept, "vintages", "--all")
    assert (row["symbol"], row["field"], row["before"], row["value"]) == ("IBM", "revenue_ttm", 100, 104)
    assert rows(kept, "vintages", "--all", "--since", text(2)) == [row]
    none = ask(kept, "vintages", "--all", "EBITDA")
    assert (none.code, none.out) == (0, "")
    assert_notes(none, "no restatement")
    assert_refused(ask(kept, "vintages"), 2, "SYMBOL", "--all")


def test_what_has_no_vintages_is_refused(kept: Path) -> None:
    assert_refused(ask(kept, "vintages", "IBM", "pe_ratio"), 2, "pe_ratio is not reported", "pipeline history")
    ended = ask(kept, "vintages", "PEP", "--json")
    assert (ended.code, ended.out) == (0, "[]\n")
    assert_notes(ended, "no reported value")


# What cannot be answered

QUESTIONS = [["history", "IBM"], ["as-of", "now"], ["as-of", "now", "--original"], ["changes"], ["vintages", "IBM"]]


@pytest.mark.parametrize(
    "words", [["history", "IBN"], ["as-of", "now", "IBN"], ["changes", "IBN"], ["vintages", "IBN"]]
)
def test_an_unknown_symbol_ends_with_1_and_the_nearest_is_named(kept: Path, words: Sequence[str]) -> None:
    assert_refused(ask(kept, *words), 1, "no snapshot of IBN", "did you mean IBM?")


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
def test_an_unknown_field_ends_with_2_and_the_nearest_is_named(kept: Path, words: Sequence[str]) -> None:
    assert_refused(ask(kept, *words), 2, "did you mean", "pe_ratio")


def test_all_vintages_are_of_every_symbol_so_none_may_be_named(kept: Path) -> None:
    assert_refused(ask(kept, "vintages", "IBM", "--all"), 2, "'IBM'", "--all")


@pytest.mark.parametrize(
    "words", [["as-of", "when"], ["history", "IBM", "--since", "2026-02-30"], ["changes", "--until", ""]]
)
def test_what_is_no_instant_ends_with_2_and_the_forms_are_named(kept: Path, words: Sequence[str]) -> None:
    assert_refused(ask(kept, *words), 2, "2026-03-14", "yesterday", "7d")


@pytest.mark.parametrize("words", QUESTIONS)
def test_an_empty_or_absent_record_is_told_and_how_to_begin_one(tmp_path: Path, words: Sequence[str]) -> None:
    migrate(tmp_path / "migrated.db", now=START)
    (tmp_path / "empty.db").touch()
    for name in ("absent.db", "empty.db", "migrated.db"):
        assert_refused(ask(tmp_path / name, *words), 1, str(tmp_path / name), "pipeline collect")
    assert not (tmp_path / "absent.db").exists()
    asyncio.run(keep(tmp_path / "migrated.db", [gone(0)]))
    assert_refused(ask(tmp_path / "migrated.db", *words), 1, "no snapshot yet", "pipeline collect")


def test_asking_writes_nothing(kept: Path) -> None:
    bytes_before = kept.read_bytes()
    for words in QUESTIONS:
        ask(kept, *words)
    assert kept.read_bytes() == bytes_before


# Text from outside

HOSTILE = "=1+1 \x1b[31mred\x07\x9b2J\u202e[bold]x[/bold]\r\nnext"


@pytest.fixture(scope="module")
def hostile() -> Path:
    calm = {"EPS": "1", "LatestQuarter": Q1, "RevenueTTM": "1"}
    return record([
        seen(0, Name="calm", Sector="@SUM(A1)", **calm),
        seen(1, Name=HOSTILE, Sector=HOSTILE, **{"=cmd|' /C calc'!A0\x1b[2J": HOSTILE}, **calm),
    ])  # fmt: skip


ASKED = [
    ["history", "IBM", "name", "sector"],
    ["as-of", "now", "--field", "Name"],
    ["changes", "--since", "2026-01-01"],
]


@pytest.mark.parametrize("words", [*ASKED, ["as-of", "now", "--original"], ["history", "IBM", "eps", "--plot"]])
def test_nothing_received_acts_on_a_terminal(hostile: Path, words: Sequence[str]) -> None:
    for form in [[], ["--json"], ["--format", "jsonl"]]:
        ended = ask(hostile, *words, *form)
        if ended.code == 0:
            assert ended.out.replace("\n", "").isprintable()
    assert ask(hostile, *words).code == 0


@pytest.mark.parametrize("words", ASKED)
def test_what_was_received_is_shown_as_it_is(hostile: Path, words: Sequence[str]) -> None:
    out = ask(hostile, *words).out
    assert r"=1+1 \x1b[31mred\x07\x9b2J" in out
    told = [value for row in ask(hostile, *words, "--json").json for value in row.values()]
    assert HOSTILE in told


@pytest.mark.parametrize("words", ASKED)
def test_no_cell_of_a_csv_is_a_formula(hostile: Path, words: Sequence[str]) -> None:
    out = ask(hostile, *words, "--format", "csv").out
    cells = [cell for row in csv.reader(StringIO(out, newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []
    assert f"'{HOSTILE}" in cells


# Pipes


def test_a_reader_that_leaves_early_ends_it_quietly(tmp_path: Path) -> None:
    path = record([seen(hours, EPS=str(hours), Name="x" * 500) for hours in range(1_500)])
    for form in ("csv", "table"):
        script = (
            f'"$PIPELINE" history IBM name --format {form} --database "$RECORD" | head -1; exit "${{PIPESTATUS[0]}}"'
        )
        done = subprocess.run(
            ["bash", "-c", script],
            env=environment(tmp_path, PIPELINE=str(PIPELINE), RECORD=str(path)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)

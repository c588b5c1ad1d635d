"""What commands print: the same facts for people and for programs, and nothing that controls a terminal."""

import csv
import json
import re
import sys
import unicodedata
from collections.abc import Sequence
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.cli.options import Form
from pipeline.cli.output import print_facts, print_json, print_rows, print_table, shown, to_second
from pipeline.cli.table_layout import Column, fitted

HOSTILE = "a\x1b[31mb\x07\x9b2J\u202e\x7fc\r"
NAMES = ["symbol", "count", "ratio", "detail"]


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# For programs


def test_csv_for_excel_begins_with_a_byte_order_mark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_rows(["name"], [["é"]], Form.EXCEL)
    assert printed(capsys).encode() == b"\xef\xbb\xbfname\n\xc3\xa9\n"

    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    print_rows(["name"], [["é"]], Form.EXCEL)
    assert terminal.getvalue() == "name\né\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(capsys: pytest.CaptureFixture[str], start: str) -> None:
    print_rows(["text"], [[f"{start}cmd|' /C calc'!A0"]], Form.CSV)

    (_, (cell,)) = csv.reader(StringIO(printed(capsys), newline=""))
    assert cell == f"'{start}cmd|' /C calc'!A0"


def test_json_has_names_that_are_not_utf_8_as_people_see_them(capsys: pytest.CaptureFixture[str]) -> None:
    name = "caf\udce9"

    print_json([{"file": name, "removed": [name], name: 1.5}])

    seen = shown(name)
    assert json.loads(printed(capsys)) == [{"file": seen, "removed": [seen], seen: 1.5}]


def test_csv_is_escaped_on_a_terminal_and_unchanged_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = StringIO(newline=""), StringIO(newline="")
    monkeypatch.setattr(terminal, "isatty", lambda: True)

    for out in (terminal, file):
        monkeypatch.setattr(sys, "stdout", out)
        print_rows(["text"], [[HOSTILE]], Form.CSV)

    assert terminal.getvalue().splitlines() == ["text", shown(HOSTILE)]
    assert list(csv.reader(StringIO(file.getvalue(), newline=""))) == [["text"], [HOSTILE]]


def test_percentages_are_right_aligned_as_numbers_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["change", "kind"], [["-5.1%", "a"], ["+2,000%", "b"], [None, "c"]])

    assert [line.rstrip() for line in printed(capsys).splitlines()] == [
        " change  kind",
        "  -5.1%  a",
        "+2,000%  b",
        "      -  c",
    ]


def test_numbers_are_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["a", "b", "c", "d"], [[-1, -2.5, 1e300, 12_345_678]], Form.CSV)

    assert printed(capsys) == "a,b,c,d\n-1,-2.5,1e+300,12345678\n"


def test_a_missing_value_is_an_empty_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["a", "b"], [[None, "x"]], Form.CSV)

    assert printed(capsys) == "a,b\n,x\n"


def test_jsonl_has_an_object_on_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, [["A", 1, None, "x\ny"], ["B", 2, 0.5, None]], Form.JSONL)

    assert [json.loads(line) for line in printed(capsys).splitlines()] == [
        {"symbol": "A", "count": 1, "ratio": None, "detail": "x\ny"},
        {"symbol": "B", "count": 2, "ratio": 0.5, "detail": None},
    ]


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=9) | st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=3)
)
def test_json_is_one_value_without_control_characters(value: dict[str, object]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        out = StringIO()
        patch.setattr("sys.stdout", out)
        print_json(value)

    assert json.loads(out.getvalue()) == value
    assert not set(out.getvalue()) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160), 0x202E, 0x2066]))


# For people


def test_a_table_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, [["A", 1, 0.5, HOSTILE]], Form.TABLE)

    out = printed(capsys)
    assert r"a\x1b[31mb\x07\x9b2J\u202e\x7fc\r" in out
    assert out.replace("\n", "").isprintable()


def test_text_of_several_lines_stays_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["detail"], [["a\nstatus: complete"]])

    assert printed(capsys).splitlines() == ["detail", r"a\nstatus: complete"]


def test_columns_are_aligned_and_numbers_right_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n", "x"], [["AAPL", 1, None], ["日本", 1234, "y"]])

    assert printed(capsys) == "name      n  x\nAAPL      1  -\n日本  1,234  y\n"


class Terminal(StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("rows", [1, 2_000])
def test_a_terminal_gets_every_row_escaped(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")

    print_table(["detail"], [["[red]x\x1b[2J"]] * rows)
    print_facts({"detail": "[red]y\x1b[2J"})

    assert terminal.getvalue().count(r"[red]x\x1b[2J") == rows
    assert r"[red]y\x1b[2J" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


def test_facts_escape_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"detail": HOSTILE})

    assert printed(capsys).replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=https://example.com]x[/link]", ":smile:", "\\[b]"])
def test_markup_in_received_text_is_shown_literally(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_table(["detail"], [[text]])
    print_facts({"detail": text})

    assert printed(capsys).count(text) == 2


def test_a_table_in_a_file_is_neither_wrapped_nor_styled(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 400

    print_table(["detail"], [[long.strip()]])

    assert printed(capsys).splitlines()[1].strip() == long.strip()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.25, "0.25"),
        ([], "-"),
        (["A", "B"], "A, B"),
        ("Müller", "Müller"),
        ("a\x00b", r"a\x00b"),
    ],
)
def test_values_are_formatted_for_people(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text())
def test_no_text_can_move_the_cursor(text: str) -> None:
    assert all(c.isprintable() or unicodedata.category(c) == "Zs" for c in shown(text))


def test_a_time_is_shown_to_the_second() -> None:
    assert to_second("2026-03-14T18:30:00.123Z") == "2026-03-14 18:30:00"
    assert to_second(None) is None


NUMBERS = ("IBM", "2026-03-14 18:30", 3_000_000_000_000, "a long text that may well be cut", 17.25)


@pytest.mark.parametrize("columns", [60, 66, 72, 80, 200])
def test_a_number_or_a_date_is_never_cut(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    names = ["symbol", "observed", "market_capitalization", "detail", "pe_ratio"]

    _, row = on_terminal(monkeypatch, columns, names, [NUMBERS])

    assert all(text in row for text in ("2026-03-14", "3,000,000,000,000", "17.25"))
    assert ("2026-03-14 18:30" in row) is (columns == 200)
    assert ("may well be cut" in row) is (columns == 200)


def on_terminal(
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    names: list[str],
    rows: Sequence[Sequence[object]],
    spare: Sequence[str] = (),
) -> list[str]:
    """Return the lines of a table on a terminal of this width, without colours."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(names, rows, spare=spare)
    return re.sub(r"\x1b\[[0-9]*m", "", terminal.getvalue()).splitlines()


CHANGE = ("QUVEX-B", "quarterly_earnings_growth_yoy", 40_909_378_000, 43_737_435_000, "+6.9%")
TIMES = ("2026-02-10 12:06", "2026-02-11 12:06")
CHANGES = ["symbol", "field", "before", "after", "change", "last seen", "observed"]


@pytest.mark.parametrize("columns", [40, 80, 100, 130])
def test_a_row_is_one_line_that_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lines = on_terminal(monkeypatch, columns, CHANGES, [(*CHANGE, *TIMES)] * 3, spare=["last seen"])

    rows = [line for line in lines[1:] if "omitted" not in line]
    assert max(map(len, lines[:4])) <= columns
    assert len(rows) == 3
    assert (CHANGE[1] in rows[0]) is (columns == 130)
    assert ("43,737,435,000" in rows[0]) is (columns > 40)
    assert (TIMES[1] in rows[0]) is (columns == 130)
    assert (TIMES[1][:10] in rows[0]) is (columns > 40)


def test_the_spare_columns_are_omitted_first_and_all_that_are_omitted_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(*CHANGE, *TIMES)]

    at_80, at_40 = (on_terminal(monkeypatch, columns, CHANGES, rows, ["last seen"]) for columns in (80, 40))

    assert at_80[0].split() == ["symbol", "field", "before", "after", "change", "observed"]
    assert at_80[-1] == "omitted to fit: last seen (--wide shows all)"
    assert at_40[0].split() == ["symbol", "field", "before"]
    assert "after, change, last seen, observed" in at_40[-1]


def test_of_the_spare_columns_the_last_one_is_omitted_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(*CHANGE, *TIMES)]

    lines = on_terminal(monkeypatch, 95, CHANGES, rows, ["observed", "last seen"])

    assert lines[-1] == "omitted to fit: last seen (--wide shows all)"


def test_of_many_omitted_columns_some_are_named_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"column_{number}" for number in range(60)]
    *_, last = on_terminal(monkeypatch, 80, names, [["text"] * 60], [])
    assert "more" in last
    assert len(last) < 200


def test_a_wide_table_is_whole_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")

    print_rows(CHANGES, [(*CHANGE, *TIMES)], Form.WIDE, spare=["last seen"])

    row = terminal.getvalue().splitlines()[1]
    assert row.split("  ") == [
        "QUVEX-B", "quarterly_earnings_growth_yoy", "40,909,378,000", "43,737,435,000", " +6.9%", *TIMES
    ]  # fmt: skip


def test_a_text_that_does_not_fit_ends_in_an_ellipsis(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, 30, ["n", "site"], [(1_000, f"https://{'x' * 40}")])

    assert max(map(len, lines)) <= 30
    assert lines[-1].endswith("x…")


@given(
    st.integers(1, 120), st.lists(st.tuples(st.text("a_ é日", max_size=40), st.integers(), st.booleans()), min_size=1)
)
def test_no_line_is_wider_than_the_terminal(columns: int, rows: list[tuple[str, int, bool]]) -> None:
    names = ["name of the row", "number", "whether"]
    table = [
        Column(name, tuple(shown(row[place]) for row in rows), is_right=place == 1) for place, name in enumerate(names)
    ]

    layout = fitted(table, columns)

    assert len(layout.lines) == len(rows) + 1
    least = max(min(20, table[0].width()), 8)
    assert columns < least or max(map(cell_len, layout.lines)) <= columns
    assert all(shown(row[1]) in line for row, line in zip(rows, layout.lines[1:], strict=True)) or layout.omitted


def test_a_field_has_its_own_name_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_terminal(monkeypatch, 80, ["pe_ratio"], [(17.25,)]) == ["pe_ratio", "   17.25"]


def test_a_numeric_column_without_a_number_is_right_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["change", "kind"], [[None, "c"]], numeric=["change"])

    assert printed(capsys).splitlines()[1] == "     -  c"

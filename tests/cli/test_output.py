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

from pipeline.cli.output import print_facts, print_json, print_rows, print_table, shown, to_second

HOSTILE = "a\x1b[31mb\x07\x9b2J\u202e\x7fc\r"
NAMES = ["symbol", "count", "ratio", "detail"]


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# For programs


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(capsys: pytest.CaptureFixture[str], start: str) -> None:
    print_rows(["text"], [[f"{start}cmd|' /C calc'!A0"]], "csv")

    (_, (cell,)) = csv.reader(StringIO(printed(capsys), newline=""))
    assert cell == f"'{start}cmd|' /C calc'!A0"


def test_csv_is_escaped_on_a_terminal_and_unchanged_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = StringIO(newline=""), StringIO(newline="")
    monkeypatch.setattr(terminal, "isatty", lambda: True)

    for out in (terminal, file):
        monkeypatch.setattr(sys, "stdout", out)
        print_rows(["text"], [[HOSTILE]], "csv")

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
    print_rows(["a", "b", "c", "d"], [[-1, -2.5, 1e300, 12_345_678]], "csv")

    assert printed(capsys) == "a,b,c,d\n-1,-2.5,1e+300,12345678\n"


def test_a_missing_value_is_an_empty_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["a", "b"], [[None, "x"]], "csv")

    assert printed(capsys) == "a,b\n,x\n"


def test_jsonl_has_an_object_on_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, [["A", 1, None, "x\ny"], ["B", 2, 0.5, None]], "jsonl")

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
    print_rows(NAMES, [["A", 1, 0.5, HOSTILE]], "table")

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


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_number_or_a_date_never_wraps(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    rows = [("IBM", "2026-03-14 18:30", 3_000_000_000_000, "a text that may well be folded, for it is long", 17.25)]

    lines = on_terminal(
        monkeypatch, columns, ["symbol", "observed", "market_capitalization", "detail", "pe_ratio"], rows
    )

    assert any("2026-03-14" in line and "3,000,000,000,000" in line and "17.25" in line for line in lines)
    assert any("2026-03-14 18:30" in line for line in lines) is (columns in (40, 200))  # at 40 it cannot fit
    assert "may well" in " ".join(" ".join(lines).split())


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


@pytest.mark.parametrize("columns", [80, 100, 130])
def test_a_row_fits_the_terminal_and_no_word_is_broken(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lines = on_terminal(monkeypatch, columns, CHANGES, [(*CHANGE, *TIMES)], spare=["last seen"])

    assert max(map(len, lines)) <= columns
    words = {word for line in lines for word in re.split(r"[ _]+", line)}
    assert {"quarterly", "earnings", "growth", "yoy", "40,909,378,000", "43,737,435,000", "+6.9%"} <= words
    assert ("last seen" in lines[0]) is (columns > 80)
    assert (TIMES[1] in "\n".join(lines)) is (columns == 130)
    assert TIMES[1][:10] in "\n".join(lines)


def test_a_word_that_does_not_fit_ends_in_an_ellipsis(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, 30, ["n", "site"], [(1_000, f"https://{'x' * 40}")])

    assert max(map(len, lines)) <= 30
    assert lines[-1].endswith("x…")


def test_a_table_that_cannot_fit_is_printed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    (header, row) = on_terminal(monkeypatch, 20, ["a", "b", "at"], [(10**12, 10**12, "2026-03-14 18:30")])

    assert row == "1,000,000,000,000  1,000,000,000,000  2026-03-14 18:30"
    assert header.split() == ["a", "b", "at"]


def test_a_field_has_its_own_name_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_terminal(monkeypatch, 80, ["pe_ratio"], [(17.25,)]) == ["pe_ratio", "   17.25"]


def test_a_numeric_column_without_a_number_is_right_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["change", "kind"], [[None, "c"]], numeric=["change"])

    assert printed(capsys).splitlines()[1] == "     -  c"

"""`pipeline vintages`: reported values by quarter, and restatements."""

from pathlib import Path

from tests.support.commands import assert_note, assert_refused, query, rows, table
from tests.support.observations import database_of, seen, text

Q1, Q2 = "2025-09-30", "2025-12-31"


def test_vintages_are_listed_by_quarter_with_when_each_was_known(stored: Path) -> None:
    found = rows(stored, "vintages", "IBM", "RevenueTTM")
    assert [list(row.values())[2:] for row in found] == [
        [Q1, 100, text(0), text(1), False, None, None],
        [Q1, 104, text(2), text(2), True, 100, 0.04],
        [Q2, 0, text(30), text(30), False, None, None],
    ]
    assert table(query(stored, "vintages", "ibm", "revenue_ttm"))[:3] == [
        ["field", "quarter", "value", "known_from", "known_until", "note", "change"],
        ["revenue_ttm", Q1, "100", "2026-03-14 18:30", "2026-03-14 19:30", "-"],
        ["revenue_ttm", Q1, "104", "2026-03-14 20:30", "2026-03-14 20:30", "restated", "+4.0%"],
    ]


def test_a_restated_date_is_marked_too() -> None:
    path = database_of([seen(hours, LatestQuarter=Q1, DividendDate=day) for hours, day in enumerate([Q1, Q2])])
    found = rows(path, "vintages", "IBM", "DividendDate", "RevenueTTM")
    assert [(row["value"], row["is_restatement"]) for row in found] == [(Q1, False), (Q2, True)]
    assert [row[5:] for row in table(query(path, "vintages", "IBM", "dividend_date"))[1:]] == [["-"], ["restated", "-"]]


def test_all_lists_the_restatements_of_every_symbol(stored: Path) -> None:
    (row,) = rows(stored, "vintages", "--all")
    assert (row["symbol"], row["field"], row["before"], row["value"]) == ("IBM", "revenue_ttm", 100, 104)
    assert rows(stored, "vintages", "--all", "--since", text(2)) == [row]
    none = query(stored, "vintages", "--all", "EBITDA")
    assert (none.code, none.out) == (0, "")
    assert_note(none, "no restatement")
    assert_refused(query(stored, "vintages"), 2, "SYMBOL", "--all")


def test_all_takes_no_symbol(stored: Path) -> None:
    assert_refused(query(stored, "vintages", "IBM", "--all"), 2, "'IBM'", "--all")


def test_a_field_without_vintages_is_refused(stored: Path) -> None:
    assert_refused(query(stored, "vintages", "IBM", "pe_ratio"), 2, "pe_ratio is not reported", "pipeline history")
    ended = query(stored, "vintages", "PEP", "--json")
    assert (ended.code, ended.out) == (0, "[]\n")
    assert_note(ended, "no reported value")

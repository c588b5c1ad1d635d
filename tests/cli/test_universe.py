"""`--universe`: commands within the configured lists, and what they say of lists that are not known."""

from pathlib import Path

import pytest

from tests.support.commands import assert_note, assert_refused, query, rows
from tests.support.observations import database_of, seen
from tests.support.universe import listed
from tests.support.vintages import Q1, reported


@pytest.fixture(scope="module")
def database() -> Path:
    path = database_of([reported(hour, Q1, str(100 + hour), symbol=symbol) for symbol in "AB" for hour in (0, 3)])
    listed(path, (1, "A Z"), (4, "Z"))
    return path


def test_as_of_shows_what_was_configured(database: Path) -> None:
    assert [row["symbol"] for row in rows(database, "as-of", "2026-03-14T21:00Z", "--universe")] == ["A"]
    original = query(database, "as-of", "2026-03-14T21:00Z", "--universe", "--original")
    assert original.out.count('"Symbol"') == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2026-03-14T19:00Z"], ["nothing was configured", "lists are known from 2026-03-14 19:30:00 UTC"]),
        (["2026-03-14T21:00Z", "B"], ["none of those named", "2 symbols"]),
        (["2026-03-15"], ["none with a snapshot", "1 symbol"]),
    ],
)
def test_an_empty_universe_is_explained_in_one_line(database: Path, arguments: list[str], words: list[str]) -> None:
    assert_refused(query(database, "as-of", *arguments, "--universe"), 1, *words)


def test_a_database_without_lists_says_so() -> None:
    assert_refused(query(database_of([seen(0)]), "as-of", "2026-03-15", "--universe"), 1, "no list is known")


def test_changes_and_restatements_say_since_when_lists_are_known(database: Path) -> None:
    changes = query(database, "changes", "--universe", "--since", "2026-03-14", "--json")
    restated = query(database, "vintages", "--all", "--universe", "--json")

    assert {row["symbol"] for row in changes.json} == {row["symbol"] for row in restated.json} == {"A"}
    assert_note(changes, "lists are known from")
    assert_note(restated, "lists are known from")


def test_it_makes_no_sense_for_one_company(database: Path) -> None:
    assert_refused(query(database, "vintages", "A", "--universe"), 2, "--all")

"""The lock, proven: what happened after it changes nothing that can be asked, and forgetting it once is noticed."""

import inspect
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import starmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.query import horizon
from pipeline.query.history import History
from tests.support.two_futures import (
    EVERYTHING,
    PARAMS,
    QUESTIONS,
    RICH,
    Futures,
    Params,
    all_answers,
    forgetful,
    futures,
)

NOT_QUESTIONS = {"open", "close", "read_by_pages", "see_until", "within", "horizon", "now", "schema_version"}


def test_every_question_is_asked() -> None:
    public = {name for name, _ in inspect.getmembers(History) if not name.startswith("_")}
    assert {name.split()[0] for name in QUESTIONS} == public - NOT_QUESTIONS


def _check(happened: Futures, asked: list[Params]) -> None:
    one, other = happened.databases()
    for (question, answer), (_, expected) in zip(all_answers(one, asked), all_answers(other, asked), strict=True):
        assert answer == expected, question


@settings(max_examples=6)
@given(futures(), st.lists(PARAMS, min_size=2, max_size=2))
def test_what_happened_after_the_lock_changes_no_answer_and_no_error(happened: Futures, asked: list[Params]) -> None:
    _check(happened, asked)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=300)
@given(futures(), st.lists(PARAMS, min_size=2, max_size=2))
def test_nor_does_it_in_many_more_cases(happened: Futures, asked: list[Params]) -> None:
    _check(happened, asked)


# Mutants: a lock that is forgotten in one place. Each must be noticed.

_OF_THE_PRESENT = {
    "requests": "INSERT INTO requests VALUES (1, 2, 'A', 0, '2026-03-19', '2026-03-19', NULL, NULL, NULL)",
    "blocked": "INSERT INTO blocked VALUES ('', '2026-03-19', '2026-03-20', 'why')",
    "keys": "INSERT INTO keys VALUES ('0123456789abcdef', 'main')",
    "schedules": "INSERT INTO schedules VALUES ('* * * * *', '2026-03-19')",
    "followed": "INSERT INTO followed VALUES (1, 'cafe', 1, 7)",
    "clock": "INSERT INTO clock VALUES (1, '2026-03-19', 'boot', 12.5, '2026-03-19')",
    "in_flight": "INSERT INTO in_flight VALUES (2, '0123456789abcdef', '2026-03-19', 16)",
    "backups": "INSERT INTO backups VALUES ('2026-03-19', 'file', 1)",
}
FORGOTTEN = [
    *((table, "") for table in horizon._VIEWS),
    *((table, column) for table, view in horizon._VIEWS.items() for column in view.columns),
]
"""Tables whose condition is forgotten, and columns of theirs that are shown as they are in the file."""


@pytest.fixture(scope="module")
def rich() -> tuple[Path, Path]:
    one, other = RICH.databases()
    with closing(sqlite3.connect(other)) as db, db:
        for statement in _OF_THE_PRESENT.values():
            db.execute(statement)
    return one, other


def _differences(rich: tuple[Path, Path]) -> Iterator[str]:
    """Yield the questions that two locked histories answer differently."""
    both = zip(*(all_answers(path, [EVERYTHING]) for path in rich), strict=True)
    return (question for (question, answer), (_, expected) in both if answer != expected)


def test_unless_something_is_forgotten_there_is_no_difference(rich: tuple[Path, Path]) -> None:
    assert list(_differences(rich)) == []


@pytest.mark.parametrize(("table", "column"), FORGOTTEN, ids=starmap("{}.{}".format, FORGOTTEN))
def test_a_forgotten_condition_is_noticed(
    table: str, column: str, rich: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(horizon._VIEWS, table, forgetful(table, column))
    assert next(_differences(rich), None) is not None

"""The ten questions in SQL: what their parameters mean, and what they mean when they are left empty."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.query.questions import QUESTIONS
from tests.support.observations import database_of, seen

BY_NAME = {question.name: question for question in QUESTIONS}


@pytest.fixture(scope="module")
def database() -> Path:
    """Return a record of two days, 2026-03-14 (from 18:30) and 2026-03-15, with two sectors."""
    return database_of([
        *(seen(0, symbol, Sector="TECHNOLOGY", PERatio=ratio) for symbol, ratio in zip("ABCD", "8426", strict=True)),
        *(seen(1, symbol, Sector="ENERGY", PERatio=ratio) for symbol, ratio in zip("EFG", "573", strict=True)),
        seen(1, "H", Sector="ENERGY", PERatio="-1"), seen(1, "I", Sector="ENERGY", PERatio="None", EPS="1"),
        seen(24, "A", Sector="TECHNOLOGY", PERatio="8.04", Name="x"),
        seen(25, "B", Sector="TECHNOLOGY", PERatio="2"),
    ])  # fmt: skip


def ask(database: Path, name: str, **given: str) -> list[tuple[Any, ...]]:
    """Return the answer; parameters that are not given are empty, as Datasette leaves them."""
    question = BY_NAME[name]
    with closing(sqlite3.connect(database)) as db:
        return db.execute(question.sql, dict.fromkeys(question.parameters, "") | given).fetchall()


@pytest.mark.parametrize("question", QUESTIONS, ids=list(BY_NAME))
def test_each_parameter_is_declared_and_explained(question: Any) -> None:
    named = re.findall(r":([a-z_]+)", question.sql)
    assert set(question.parameters) == set(named)
    assert all(f"{name}:" in question.help for name in question.parameters)


@pytest.mark.parametrize(
    ("at", "ratio"),
    [
        ("2026-03-14", 8), ("2026-03-15", 8.04), ("", 8.04), ("2026-03-15T18:29Z", 8), ("2026-03-15T18:30Z", 8.04),
        ("2026-03-15T19:30+01:00", 8.04), ("2026-03-15 18:29:59", 8), ("2026-03-13", None), ("soon", None),
    ],
)  # fmt: skip
def test_an_instant_is_the_end_of_a_day_or_a_time(database: Path, at: str, ratio: float | None) -> None:
    known = {row[0]: row[3] for row in ask(database, "as_of", at=at)}
    assert known.get("A") == ratio


def test_the_median_is_of_positive_ratios_known_then(database: Path) -> None:
    assert ask(database, "sectors", at="2026-03-14") == [("ENERGY", 3, 5), ("TECHNOLOGY", 4, 5)]
    assert ask(database, "sectors") == [("TECHNOLOGY", 4, 4), ("ENERGY", 3, 5)]


def test_changes_are_of_a_day_and_of_a_size(database: Path) -> None:
    everything = [row[:2] for row in ask(database, "changes")]
    assert everything == [("B", "pe_ratio"), ("A", "pe_ratio"), ("A", "name")]
    assert ask(database, "changes", day="2026-03-15") == ask(database, "changes")
    assert [row[:2] for row in ask(database, "changes", percent="1")] == [("B", "pe_ratio")]
    assert ask(database, "changes", day="2026-03-14") == []


def test_a_field_is_a_column(database: Path) -> None:
    assert [row[2] for row in ask(database, "history", symbol="a")] == [8, 8.04]
    assert [row[2] for row in ask(database, "history", symbol="A", field="name")] == [None, "x"]
    assert ask(database, "coverage") == [("ENERGY", 5, 4), ("TECHNOLOGY", 4, 4)]
    assert ask(database, "coverage", field="eps") == [("ENERGY", 5, 1), ("TECHNOLOGY", 4, 0)]


def test_a_sector_is_of_any_case_and_empty_is_all(database: Path) -> None:
    assert {row[0] for row in ask(database, "latest", sector="energy")} == set("EFGHI")
    assert len(ask(database, "latest")) == 9


def test_stale_is_longer_ago_than_some_days(database: Path) -> None:
    assert len(ask(database, "stale")) == 9
    assert ask(database, "stale", days="1000000") == []

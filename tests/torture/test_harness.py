"""The harness of the torture suite: trials that fit the code, and results that cannot be good by mistake."""

import re
from datetime import date
from pathlib import Path

import pytest

from tests.torture import scoreboard
from tests.torture.running import PROJECT
from tests.torture.scoreboard import Score
from tests.torture.trial import Bout, Mutant, Result, Trial, mutated
from tests.torture.trials import TRIALS, trial_named

MUTANTS = [(trial.name, one) for trial in TRIALS for one in trial.mutants]
NOTHING = Trial("nothing", "none", lambda _bout: None, (), short_attempts=1)


def test_each_trial_has_a_name_of_its_own_and_a_mistake_to_find() -> None:
    names = [one.name for one in TRIALS]

    assert len(names) == len({*names})
    assert [one.name for one in TRIALS if all(mutant.is_slow for mutant in one.mutants)] == []
    assert all(trial_named(one.name) is one for one in TRIALS)
    with pytest.raises(ValueError, match="no trial"):
        trial_named("tickling")


def test_each_mistake_still_fits_the_code() -> None:
    for _, mutant in MUTANTS:
        source = (PROJECT / mutant.file).read_text(encoding="utf-8")
        assert mutated({mutant.file: source}, mutant) != source, mutant


@pytest.mark.parametrize("source", ["", "one one"])
def test_a_mistake_that_does_not_fit_once_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="write its mutant again"):
        mutated({"f": source}, Mutant("m", "f", "one", "two"))


def test_a_trial_that_tried_nothing_has_not_held(tmp_path: Path) -> None:
    bout = Bout(tmp_path, seconds=0, seed=1)

    assert bout.result().broken == ["nothing was tried"]
    bout.count("cuts", 0)
    assert bout.result().broken
    bout.count("cuts")
    assert bout.result().broken == []


def test_with_a_mutant_the_first_find_ends_it(tmp_path: Path) -> None:
    bout = Bout(tmp_path, seconds=1000, seed=1, stops_when_broken=True)

    assert bout.goes_on()
    bout.broken("a limit")
    assert not bout.goes_on()


def test_a_fixed_number_of_attempts_ends_it_before_its_time(tmp_path: Path) -> None:
    bout = Bout(tmp_path, seconds=1000, seed=1, attempts=3)

    assert [bout.goes_on() for _ in range(5)] == [True, True, True, False, False]
    assert bout.result().left == 0
    assert Bout(tmp_path, seconds=0, seed=1, attempts=3).result().left == 3
    assert Bout(tmp_path, seconds=0, seed=1).result().left == 0


@pytest.mark.parametrize(
    ("score", "is_good"),
    [
        (Score(NOTHING, Result({"cuts": 1}, [], 1), 1, ()), True),
        (Score(NOTHING, None, 0, (), skipped="no compiler"), True),
        (Score(NOTHING, Result({"cuts": 1}, ["one"], 1), 1, ()), False),
        (Score(NOTHING, Result({"cuts": 1}, [], 1), 0, ("forgetful",)), False),
        (Score(NOTHING, None, 0, (), failed="died"), False),
    ],
)
def test_only_what_held_and_found_its_mistakes_is_good(score: Score, is_good: bool) -> None:
    assert score.is_good is is_good
    assert ("held" in score.found and "MISSED" not in score.found) is (is_good and score.result is not None)


def test_the_scoreboard_says_all_where_all_was_tried() -> None:
    tried = {"of 1,500 changes of a start": 1500, "of 20 of a backup": 2, "of 0 of a fleet": 0}

    score = Score(NOTHING, Result(tried, [], 1), 1, ())

    assert score.tried == "all 1,500 changes of a start, 2 of 20 of a backup, 0 of 0 of a fleet"


def test_the_scoreboard_replaces_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "guarantees.md"
    file.write_text("before\n<!-- scoreboard -->\nold\n<!-- end -->\nafter\n")
    score = Score(NOTHING, Result({"cuts": 1234}, [], 1), 1, ())

    scoreboard.write(scoreboard.markdown([score], seconds=60, commit="abc", on=date(2026, 3, 14)), file)

    text = file.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| nothing | none | 1,234 cuts | held | 1 of 1 |" in text
    file.write_text("no place")
    with pytest.raises(ValueError, match="has no"):
        scoreboard.write("text", file)


def test_the_documentation_shows_each_trial_and_that_it_held() -> None:
    shown = scoreboard.shown()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in shown.splitlines() if line.startswith("|")][2:]

    assert [(name, promise) for name, promise, *_ in rows] == [(one.name, one.promise) for one in TRIALS]
    assert [(name, found) for name, _, _, found, _ in rows if found != "held"] == []
    assert [name for name, *_, mistakes in rows if not re.fullmatch(r"([1-9]\d*) of \1", mistakes)] == []
    assert all(re.match(r"\d|all \d", tried) for _, _, tried, *_ in rows)
    assert re.search(r" on \d{4}-\d\d-\d\d, commit `[0-9a-f]{7,}`, \d+ minutes ", shown)

"""docs/python.md: its examples run as printed, and it names the whole public API, with its parameters."""

import inspect
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline import (
    Answer,
    Change,
    Column,
    DatabaseError,
    FieldNotFound,
    History,
    Joined,
    JoinError,
    NoData,
    PanelRow,
    Received,
    Snapshot,
    SymbolNotFound,
    Trouble,
    Vintage,
)
from tests.docs.generate import DOCS
from tests.support.observations import database_of, recorded_database, recorded_year
from tests.support.recordings import needs_recordings

PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
(BACKTEST,) = (example for example in EXAMPLES if "research.db" in example)
PUBLIC: list[type] = [
    Answer, Change, Column, DatabaseError, FieldNotFound, History, Joined, JoinError, NoData, PanelRow, Received,
    Snapshot, SymbolNotFound, Trouble, Vintage,
]  # fmt: skip
QUESTIONS = [name for name in vars(History) if not name.startswith("_") and name != "open"]


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example is not BACKTEST])
def test_each_example_runs_as_printed(
    answerable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], example: str
) -> None:
    if "to_arrow" in example:
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(answerable.parents[1])
    names: dict[str, Any] = {}
    exec(compile(example, "docs/python.md", "exec"), names)

    assert "AAPL" in capsys.readouterr().out


def run_backtest(database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the backtest on a database, and return its names."""
    pytest.importorskip("pandas")
    folder.mkdir()
    shutil.copy(database, folder / "research.db")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(BACKTEST, "docs/python.md", "exec"), names)
    return names


def test_the_backtest_runs_on_any_database(
    answerable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_backtest(answerable, tmp_path / "any", monkeypatch)
    assert "chosen" in capsys.readouterr().out


@needs_recordings
def test_the_backtest_of_the_recorded_year_does_not_look_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen at the end of a month is the same in a database that ends a day before."""
    whole = run_backtest(recorded_database(), tmp_path / "whole", monkeypatch)
    assert whole["result"]["companies"].iloc[:4].tolist() == [5] * 4

    for place in (1, 3):
        at = whole["chosen"].index[place]
        past = database_of([one for one in recorded_year() if one.at <= at - timedelta(days=1)])
        then = run_backtest(past, tmp_path / f"then {place}", monkeypatch)
        assert then["chosen"].iloc[: place + 1].equals(whole["chosen"].iloc[: place + 1])


def test_the_package_offers_what_the_page_names_and_nothing_else() -> None:
    assert {name for name in dir(pipeline) if name != "__version__"} == {cls.__name__ for cls in PUBLIC}
    assert all(getattr(pipeline, cls.__name__) is cls for cls in PUBLIC)
    assert set(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE)) - {"None", "ValueError", "KeyError", "ResourceWarning"} == {
        cls.__name__ for cls in PUBLIC
    }


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Reader"):
        _ = getattr(pipeline, "Reader")  # noqa: B009 - a type checker knows it, too


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_is_listed_with_its_parameters(name: str) -> None:
    signature = inspect.signature(getattr(History, name))
    parameters = [one.replace(annotation=one.empty) for one in list(signature.parameters.values())[1:]]
    listed = signature.replace(parameters=parameters, return_annotation=signature.empty)
    assert f"\n| `{name}{listed}` |" in PAGE


@pytest.mark.parametrize("cls", [Answer, Change, Column, Joined, PanelRow, Snapshot, Vintage])
def test_each_attribute_is_named(cls: type) -> None:
    names = {name for name in vars(cls) if not name.startswith("_")}
    assert names
    assert {name for name in names if not re.search(rf"`{name}(\(\))?`", PAGE)} == set()

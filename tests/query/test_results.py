"""Results: answers that can be read again, and snapshots as values."""

import sys
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from pipeline.query.history import History
from pipeline.query.results import Snapshot
from tests.support.answers import answers
from tests.support.clocks import START
from tests.support.observations import database_of, seen


def test_every_answer_can_be_read_again_and_again(full: Path) -> None:
    with History.open(full) as history:
        for answer in answers(history).values():
            once = list(answer)
            assert once
            assert list(answer) == once
            assert len(list(answer.rows())) == len(once)
            assert all(len(row) == len(answer.names) for row in answer.rows())
            assert list(zip(answer, answer, strict=True)) == [(one, one) for one in once], "and two at a time"


def test_a_value_is_found_by_column_or_by_the_apis_name(three: Path) -> None:
    with History.open(three) as history:
        first = next(iter(history.history("IBM", ["pe_ratio", "Name"])))
    assert first["PERatio"] == first["pe_ratio"] == first.values["pe_ratio"] == 10
    assert first["name"] == "x"
    assert first.staleness is None


def test_snapshots_are_values() -> None:
    one = Snapshot("IBM", START, START, {"pe_ratio": 1.0})
    assert one == Snapshot("IBM", START, START, {"pe_ratio": 1.0})
    with pytest.raises(AttributeError):
        one.symbol = "PEP"  # type: ignore[misc] # that it is read-only is what is tested


def test_a_snapshot_knows_its_columns() -> None:
    one = Snapshot("IBM", START, START, {"pe_ratio": 1.0})

    assert list(one) == ["pe_ratio"]
    assert "pe_ratio" in one
    assert "PERatio" in one
    assert "eps" not in one
    assert "nothing" not in one
    assert 0 not in one
    assert (one["pe_ratio"], one["PERatio"]) == (1.0, 1.0)


def test_without_pyarrow_to_arrow_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("pipeline.query.arrow", raising=False)
    monkeypatch.delitem(sys.modules, "pipeline.query.arrow", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with History.open(database_of([seen(0)])) as history, pytest.raises(Trouble, match="pip install"):
        history.history("IBM").to_arrow()

"""History: which databases, symbols and fields it takes, and that it only reads."""

import sqlite3
from pathlib import Path

import pytest

from pipeline.model.fields import FieldNotFound, Kind
from pipeline.query.history import History
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.answers import answers
from tests.support.observations import after


def test_an_absent_an_empty_and_another_programs_file_are_refused(tmp_path: Path, database: Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("not a database, whatever its name is" * 30)
    for name, why in {"absent.db": "pipeline collect", "empty.db": "pipeline collect", "text.db": "not a data"}.items():
        with pytest.raises(DatabaseError, match=why), History.open(tmp_path / name):
            pass
    assert not (tmp_path / "absent.db").exists()
    with History.open(database) as history:
        assert not list(history.as_of("now"))
        assert not list(history.changes())
        with pytest.raises(NoData, match=r"no snapshot yet: .*pipeline collect"):
            history.history("IBM")


@pytest.mark.parametrize(
    ("field", "nearest"), [("pe_rato", "pe_ratio"), ("52WekHigh", "week_52_high"), ("", None), ("; DROP", None)]
)
def test_an_unknown_field_is_refused_and_the_nearest_named(three: Path, field: str, nearest: str | None) -> None:
    with History.open(three) as history:
        for question in (
            lambda: history.history("IBM", [field]),
            lambda: history.as_of("now", fields=[field]),
            lambda: history.changes(fields=[field]),
            lambda: history.vintages("IBM", [field]),
        ):
            with pytest.raises(FieldNotFound, match=nearest or repr(field)):
                question()


def test_a_closed_database_is_said_to_be_closed(three: Path) -> None:
    with History.open(three) as history:
        answer = history.as_of("now")
    for question in (lambda: list(answer), history.symbols, lambda: history.history("IBM"), history.changes):
        with pytest.raises(DatabaseError, match=r"closed.*with"):
            list(question())


def test_an_unknown_part_is_refused_and_all_are_named(three: Path) -> None:
    with History.open(three) as history, pytest.raises(ValueError, match=r"'foo'.*profile.*reported.*daily"):
        history.changes(part="foo")


def test_the_kind_of_every_column_is_of_one_type(three: Path) -> None:
    with History.open(three) as history:
        kinds = {type(column.kind) for answer in answers(history).values() for column in answer.columns}
    assert kinds == {Kind}


def test_an_unknown_symbol_is_refused_and_the_nearest_named(three: Path) -> None:
    with History.open(three) as history:
        for question in (
            lambda: history.history("IBN"),
            lambda: history.as_of("now", ["IBN", "PEP"]),
            lambda: history.documents_as_of("now", ["IBN"]),
            lambda: history.changes(["IBN"]),
            lambda: history.vintages("IBN"),
            lambda: history.restatements(["IBN"]),
        ):
            with pytest.raises(SymbolNotFound, match=r"no snapshot of IBN: .*IBM.*pipeline symbols"):
                list(question())


def test_the_first_observation_is_of_all_or_of_some_symbols_in_any_case(three: Path) -> None:
    with History.open(three) as history:
        assert history.first_observed_at() == history.first_observed_at(["PEP"]) == after(0)
        assert history.first_observed_at(["KO"]) is None
        assert history.symbols() == ["IBM", "PEP"]


def test_questions_change_nothing(full: Path) -> None:
    bytes_before = full.read_bytes()
    with History.open(full) as history:
        for answer in answers(history).values():
            list(answer)
        list(history.documents_as_of("now"))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            history._db.execute("DELETE FROM snapshots")
    assert full.read_bytes() == bytes_before

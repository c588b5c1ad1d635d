"""History: which databases, symbols and fields it takes, and that it only reads."""

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from pipeline.model.fields import COLUMNS, FieldNotFound, Kind
from pipeline.query.history import History
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.answers import answers
from tests.support.observations import after, database_of
from tests.support.vintages import Q1, reported


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
        with pytest.raises(DatabaseError, match=r"closed.*open it again"):
            list(question())


def test_it_can_be_opened_without_a_with_block_and_closed_more_than_once(three: Path) -> None:
    history = History.open(three)
    snapshots = history.history("IBM")
    first = next(iter(snapshots))
    history.close()
    history.close()

    assert first.symbol == "IBM"
    with pytest.raises(DatabaseError, match=r"closed.*open it again"):
        list(snapshots)


def test_one_that_is_not_closed_says_so_when_it_is_collected(three: Path) -> None:
    history = History.open(three)

    with pytest.warns(ResourceWarning, match=r"unclosed History\.open\('.*overviews\.db'\)"):
        del history


def test_an_answer_keeps_its_database_open(three: Path) -> None:
    answer = History.open(three).history("IBM")

    assert len(list(answer)) == 3
    with pytest.warns(ResourceWarning, match="unclosed"):
        del answer


def test_sqlites_errors_are_database_errors_with_and_without_a_with_block(tmp_path: Path, three: Path) -> None:
    path = tmp_path / "copy.db"
    shutil.copy(three, path)
    history = History.open(path)
    answers_of_all = answers(history)
    documents = history.documents_as_of("now")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE snapshots")

    for answer in answers_of_all.values():
        with pytest.raises(DatabaseError, match=rf"{path}: no such table"):
            list(answer)
    with pytest.raises(DatabaseError, match="no such table"):
        next(documents)
    with pytest.raises(DatabaseError, match="no such table"):
        history.first_observed_at(["IBM"])
    history.close()


def test_an_error_of_another_database_in_the_block_is_left_alone(three: Path) -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="no such table: theirs"),
        closing(sqlite3.connect(":memory:")) as other,
        History.open(three),
    ):
        other.execute("SELECT * FROM theirs")


def test_all_is_every_field_that_a_question_can_answer(full: Path) -> None:
    with History.open(full) as history:
        for answer in (history.as_of("now", fields="all"), history.history("IBM", ["all"])):
            assert set(COLUMNS) < set(answer.names)
        assert list(history.changes(fields="all")) == list(history.changes())
    with History.open(database_of([reported(0, Q1, "1", SharesOutstanding="3")])) as history:
        assert {one.field for one in history.vintages("IBM", "all")} == {"revenue_ttm", "shares_outstanding"}


def test_dates_are_dates() -> None:
    day = date(2026, 5, 1)
    with History.open(
        database_of(
            [
                reported(0, Q1, "1", DividendDate="None"),
                reported(1, Q1, "1", DividendDate=str(day)),
                reported(2, Q1, "1", DividendDate="May"),
            ]
        )
    ) as history:
        assert [one["dividend_date"] for one in history.history("IBM", ["dividend_date"])] == [None, day, None]
        assert [(one.before, one.after) for one in history.changes()] == [(None, day), (day, "May")]
        (vintage,) = history.vintages("IBM", ["dividend_date"])
    assert (vintage.latest_quarter, vintage.value) == (date.fromisoformat(Q1), day)


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

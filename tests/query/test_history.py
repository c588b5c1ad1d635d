"""The questions: what was known at an instant, what a company was through time, what it reported and restated."""

import json
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import instants
from pipeline.errors import Trouble
from pipeline.model.document import Document
from pipeline.model.fields import FISCAL_FIELDS, FieldNotFound
from pipeline.query.history import History
from pipeline.query.results import Answer, Snapshot, Vintage
from pipeline.query.snapshots import DEFAULT_FIELDS
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.clocks import START
from tests.support.looks import HOUR, Look, after, gone, record, recorded_year, seen, text
from tests.support.recordings import needs_recordings

MILLISECOND = timedelta(milliseconds=1)


# As of


_INSTANTS = st.sampled_from([START + n * timedelta(minutes=7, milliseconds=123) for n in range(12)])
_LOOKS = st.lists(
    st.builds(
        lambda symbol, at, found: Look(symbol, at, found and {"Symbol": symbol, "PERatio": found, "Name": "x"}),
        st.sampled_from(["A", "B", "C-D"]),
        _INSTANTS,
        st.sampled_from(["1", "1.0", "2", None]),
    ),
    unique_by=lambda look: look[:2],
    max_size=20,
)
"""Looks at several companies: of versions that come again, of another spelling, and that found nothing."""


def known(looks: Sequence[Look], at: datetime) -> list[tuple[str, datetime, datetime, float]]:
    """Return what is to be known at an instant, the naive way: symbol, first seen, last seen, P/E ratio."""
    answer = []
    for symbol in sorted({look.symbol for look in looks}):
        run: list[Look] = []
        for look in sorted(look for look in looks if look.symbol == symbol and look.document and look.at <= at):
            run = [*run, look] if run and run[-1].document == look.document else [look]
        if run:
            assert run[0].document is not None
            answer.append((symbol, run[0].at, run[-1].at, float(run[0].document["PERatio"])))
    return answer


@settings(max_examples=25, deadline=None)
@given(looks=_LOOKS, data=st.data())
def test_as_of_is_the_newest_snapshot_not_after_the_instant_and_the_last_look_not_after_it(
    looks: list[Look], data: st.DataObject
) -> None:
    filled = data.draw(st.permutations(looks))
    cut = data.draw(st.integers(0, len(filled)))
    with History.open(record(filled[:cut], filled[cut:])) as asked:
        for step in (-MILLISECOND, timedelta(0), MILLISECOND):
            at = data.draw(_INSTANTS) + step
            expected = known(looks, at)
            answer = list(asked.as_of(at, fields=["pe_ratio"]))
            assert [(one.symbol, one.observed_at, one.confirmed_at, one["pe_ratio"]) for one in answer] == expected
            assert [one.staleness for one in answer] == [at - last for _, _, last, _ in expected]

            longest = data.draw(st.sampled_from([timedelta(0), MILLISECOND, timedelta(minutes=14), timedelta.max]))
            fresh = [one.symbol for one in asked.as_of(at, max_staleness=longest)]
            assert fresh == [symbol for symbol, _, last, _ in expected if at - last <= longest]
            assert [one["Symbol"] for one in asked.documents_as_of(at, max_staleness=longest)] == fresh


@settings(max_examples=25, deadline=None)
@given(looks=_LOOKS, at=_INSTANTS, data=st.data())
def test_as_of_does_not_look_ahead(looks: list[Look], at: datetime, data: st.DataObject) -> None:
    """Whatever the future brings, in whatever order it is kept: nothing in the answer is another."""
    past = [look for look in looks if look.at <= at]
    with History.open(record(past)) as asked:
        rows = list(asked.as_of(at).rows())
        documents = [json.dumps(one) for one in asked.documents_as_of(at)]
    with History.open(record(data.draw(st.permutations(looks)))) as asked:
        assert list(asked.as_of(at).rows()) == rows
        assert [json.dumps(one) for one in asked.documents_as_of(at)] == documents


def test_what_came_and_went_and_came_again_is_known_as_it_was() -> None:
    looks = [seen(0, PERatio="1"), seen(1, PERatio="1"), gone(2), seen(3, PERatio="2"), seen(4, PERatio="1")]
    with History.open(record(looks)) as asked:
        answers = [next(iter(asked.as_of(after(hours), ["IBM"], ["pe_ratio"]))) for hours in (0.5, 2.5, 3.5, 9)]
    assert [(one["pe_ratio"], one.observed_at, one.confirmed_at, one.staleness) for one in answers] == [
        (1, after(0), after(0), HOUR / 2),
        (1, after(0), after(1), HOUR * 1.5),
        (2, after(3), after(3), HOUR / 2),
        (1, after(4), after(4), HOUR * 5),
    ]


@pytest.mark.parametrize("day", ["2026-03-14", date(2026, 3, 14)])
def test_a_date_means_its_end_in_utc(day: str | date) -> None:
    last = datetime(2026, 3, 14, 23, 59, 59, 999_000, UTC)
    looks = [Look("A", last, {"Symbol": "A"}), Look("B", last + MILLISECOND, {"Symbol": "B"})]
    with History.open(record(looks)) as asked:
        assert [(one.symbol, one.staleness) for one in asked.as_of(day)] == [("A", timedelta(0))]
        assert [one.symbol for one in asked.as_of("2026-03-15")] == ["A", "B"]
        east = timezone(timedelta(hours=5, minutes=30))
        assert [one.symbol for one in asked.as_of((last + MILLISECOND).astimezone(east))] == ["A", "B"]
        assert [one.symbol for one in asked.as_of("2026-03-15T01:59:59.999+02:00")] == ["A"]


def test_a_naive_instant_is_refused() -> None:
    with History.open(record([seen(0)])) as asked, pytest.raises(ValueError, match="time zone"):
        asked.as_of(datetime(2026, 3, 14))


_VALUES = st.sampled_from(["1", "1.50", "-", "None", "abc", "é\u202e", "", 1, 1.0, True, None, {"b": [1, 1.0], "a": 2}])
_DOCUMENTS = st.permutations(["PERatio", "Name", "LatestQuarter", "New", "MarketCapitalization"]).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), _VALUES) for name in names)).map(lambda pairs: dict(pairs[:4]))
)


@settings(max_examples=25, deadline=None)
@given(received=_DOCUMENTS)
def test_the_original_is_to_the_letter_keys_in_order(received: Document) -> None:
    before, after_it = dict(list(received.items())[:2]), {"Symbol": "IBM", **received}
    looks = [Look("IBM", after(0), {**before, "Symbol": "IBM"}), Look("IBM", after(2), after_it)]
    with History.open(record(looks)) as asked:
        told = [json.dumps(next(asked.documents_as_of(after(hours), ["IBM"]))) for hours in (1, 3)]
    assert told == [json.dumps({**before, "Symbol": "IBM"}), json.dumps(after_it)]


# One company through time


@pytest.fixture(scope="module")
def three() -> Path:
    """Three snapshots, of which the first was seen twice, and another company's."""
    return record([
        seen(0, PERatio="10", Name="x"), seen(1, PERatio="10", Name="x"), seen(2, PERatio="11.5", EPS="2"),
        seen(4, PERatio="-"), seen(0, "PEP", PERatio="99"),
    ])  # fmt: skip


def test_history_is_a_row_a_snapshot_with_when_it_was_first_and_last_seen(three: Path) -> None:
    with History.open(three) as asked:
        answer = asked.history("ibm", ["PERatio", "pe_ratio", "name", "Eps"])
        assert answer.names == ("symbol", "observed_at", "confirmed_at", "pe_ratio", "name", "eps")
        rows = list(answer.rows())
    assert rows == [
        ("IBM", text(0), text(1), 10.0, "x", None),
        ("IBM", text(2), text(2), 11.5, None, 2.0),
        ("IBM", text(4), text(4), None, None, None),
    ]


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (None, None, [0, 2, 4]),
        (after(2), None, [2, 4]),
        (after(2) + MILLISECOND, None, [4]),
        (None, after(2), [0, 2]),
        (None, after(2) - MILLISECOND, [0]),
        (after(2), after(2), [2]),
        (after(4), after(2), []),
        (date(2026, 3, 14), None, [0, 2, 4]),
        ("2026-03-15", None, []),
        (None, "2026-03-14", [0, 2, 4]),
        (None, date(2026, 3, 13), []),
    ],
)
def test_since_and_until_are_inclusive(three: Path, since: Any, until: Any, hours: list[int]) -> None:
    with History.open(three) as asked:
        assert [one.observed_at for one in asked.history("IBM", since=since, until=until)] == list(map(after, hours))


def test_a_snapshot_is_asked_by_column_or_as_the_api_spells_it(three: Path) -> None:
    with History.open(three) as asked:
        first = next(iter(asked.history("IBM", ["pe_ratio", "Name"])))
    assert first["PERatio"] == first["pe_ratio"] == first.values["pe_ratio"] == 10
    assert first["name"] == "x"
    assert first.staleness is None


def test_without_fields_a_sensible_few_are_told(three: Path) -> None:
    with History.open(three) as asked:
        assert asked.history("IBM").names[3:] == tuple(field.column for field in DEFAULT_FIELDS)
        assert asked.as_of("now").names[4:] == tuple(field.column for field in DEFAULT_FIELDS)


@pytest.mark.parametrize(
    ("field", "nearest"), [("pe_rato", "pe_ratio"), ("52WekHigh", "week_52_high"), ("", None), ("; DROP", None)]
)
def test_an_unknown_field_is_refused_and_the_nearest_named(three: Path, field: str, nearest: str | None) -> None:
    with History.open(three) as asked:
        for ask in (
            lambda: asked.history("IBM", [field]),
            lambda: asked.as_of("now", fields=[field]),
            lambda: asked.changes(fields=[field]),
            lambda: asked.vintages("IBM", [field]),
        ):
            with pytest.raises(FieldNotFound, match=nearest or repr(field)):
                ask()


def test_an_unknown_symbol_is_refused_and_the_nearest_named(three: Path) -> None:
    with History.open(three) as asked:
        for ask in (
            lambda: asked.history("IBN"),
            lambda: asked.as_of("now", ["IBN", "PEP"]),
            lambda: asked.documents_as_of("now", ["IBN"]),
            lambda: asked.changes(["IBN"]),
            lambda: asked.vintages("IBN"),
            lambda: asked.restatements(["IBN"]),
        ):
            with pytest.raises(SymbolNotFound, match=r"no snapshot of IBN: .*IBM.*pipeline symbols"):
                list(ask())


def test_a_record_says_when_it_begins(three: Path) -> None:
    with History.open(three) as asked:
        assert asked.first_observed_at() == asked.first_observed_at(["PEP"]) == after(0)
        assert asked.first_observed_at(["KO"]) is None
        assert asked.symbols() == ["IBM", "PEP"]


# Reported values, by quarter


def reported(hours: float, quarter: str, revenue: str, **fields: str) -> Look:
    return seen(hours, LatestQuarter=quarter, RevenueTTM=revenue, **fields)


Q1, Q2 = "2025-03-31", "2025-06-30"


def vintages(*looks: Look, **bounds: Any) -> list[tuple[Any, ...]]:
    with History.open(record(looks)) as asked:
        answer = asked.vintages("IBM", ["revenue_ttm"], **bounds)
        assert list(answer) == [Vintage(*row[:4], *_instants(row[4:6]), *row[6:]) for row in answer.rows()]
        return [row[2:] for row in answer.rows()]


def _instants(texts: Sequence[str]) -> list[datetime]:
    return [instants.from_text(one) for one in texts]


def test_a_vintage_is_a_value_of_a_quarter_with_the_interval_in_which_we_knew_it() -> None:
    looks = [
        reported(0, Q1, "100"),
        reported(1, Q1, "100"),
        reported(2, Q1, "100", EPS="1"),
        reported(3, Q2, "100"),
        reported(4, Q2, "120"),
        reported(5, Q2, "120"),
    ]
    assert vintages(*looks) == [
        (Q1, 100, text(0), text(2), False, None, None),
        (Q2, 100, text(3), text(3), False, None, None),
        (Q2, 120, text(4), text(5), True, 100, 0.2),
    ]


def test_a_value_that_was_missing_for_a_while_is_one_vintage() -> None:
    looks = [reported(0, Q1, "100"), reported(1, Q1, "None"), reported(2, Q1, "100"), reported(3, "None", "7")]
    assert vintages(*looks) == [(Q1, 100, text(0), text(2), False, None, None)]


def test_a_value_that_comes_back_is_a_vintage_again() -> None:
    looks = [reported(0, Q1, "100"), reported(1, Q1, "50"), reported(2, Q1, "100"), reported(3, Q2, "7")]
    assert vintages(*looks) == [
        (Q1, 100, text(0), text(0), False, None, None),
        (Q1, 50, text(1), text(1), True, 100, -0.5),
        (Q1, 100, text(2), text(2), True, 50, 1.0),
        (Q2, 7, text(3), text(3), False, None, None),
    ]


def test_a_quarter_that_went_back_for_a_while_is_one_vintage() -> None:
    looks = [reported(0, Q1, "100"), reported(1, Q2, "120"), reported(2, Q1, "100"), reported(3, Q2, "120")]
    assert vintages(*looks) == [
        (Q1, 100, text(0), text(2), False, None, None),
        (Q2, 120, text(1), text(3), False, None, None),
    ]


def test_since_and_until_take_vintages_by_when_they_were_first_known() -> None:
    """A restatement is one, however long ago the value was first told that it takes the place of."""
    looks = [reported(0, Q1, "100"), reported(1, Q1, "100", EPS="2"), reported(2, Q1, "90"), reported(3, Q1, "80")]
    assert vintages(*looks, since=after(1)) == vintages(*looks)[1:]
    assert vintages(*looks, since=after(2)) == vintages(*looks)[1:]
    assert vintages(*looks, since=after(2), until=after(2)) == [(Q1, 90, text(2), text(2), True, 100, -0.1)]
    assert vintages(*looks, until=after(1)) == [(Q1, 100, text(0), text(1), False, None, None)]


def test_restatements_are_those_of_every_symbol() -> None:
    """The statements of one company are those of another here: they are kept once, and told of each."""
    looks = [reported(0, Q1, "100"), reported(1, Q1, "90"), reported(1, Q1, "90", Name="x")._replace(symbol="KO")]
    looks += [look._replace(symbol="PEP") for look in (*looks[:2], reported(2, Q2, "3"))]
    with History.open(record(looks)) as asked:
        answer = [(one.symbol, one.before, one.value, one.known_from) for one in asked.restatements()]
        assert answer == [("IBM", 100, 90, after(1)), ("PEP", 100, 90, after(1))]
        assert [one.symbol for one in asked.restatements(["PEP"])] == ["PEP"]
        assert [one.symbol for one in asked.restatements(since=after(1))] == ["IBM", "PEP"]
        assert list(asked.restatements(since=after(2))) == list(asked.restatements(fields=["ebitda"])) == []


def test_without_fields_vintages_are_of_what_a_quarters_statements_tell() -> None:
    with History.open(record([reported(0, Q1, "1", EBITDA="2", SharesOutstanding="3")])) as asked:
        assert [one.field for one in asked.vintages("IBM")] == ["revenue_ttm", "ebitda"]
        assert [one.value for one in asked.vintages("IBM", ["SharesOutstanding"])] == [3]
    assert all(field.part == "reported" for field in FISCAL_FIELDS)


@pytest.mark.parametrize("field", ["pe_ratio", "name", "latest_quarter"])
def test_what_is_not_reported_by_the_quarter_has_no_vintages(three: Path, field: str) -> None:
    with History.open(three) as asked, pytest.raises(FieldNotFound, match="pipeline history"):
        asked.vintages("IBM", [field])


def naive_vintages(looks: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """Return the vintages of quarters and values, seen an hour apart: (quarter, value, from, until)."""
    quarters: dict[str, list[list[Any]]] = {}
    for hours, (quarter, value) in enumerate(looks):
        if "None" in (quarter, value):
            continue
        of_quarter = quarters.setdefault(quarter, [])
        if of_quarter and of_quarter[-1][0] == int(value):
            of_quarter[-1][2] = text(hours)
        else:
            of_quarter.append([int(value), text(hours), text(hours)])
    return [(quarter, *one) for quarter, known in quarters.items() for one in known]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([Q1, Q2, "None"]), st.sampled_from(["0", "1", "2", "None"])), max_size=9))
def test_vintages_are_those_that_looking_at_every_look_would_tell(looks: list[tuple[str, str]]) -> None:
    told = vintages(*(reported(hours, *look) for hours, look in enumerate(looks)), reported(100, "None", "None"))
    assert [row[:4] for row in told] == naive_vintages(looks)
    for quarter in (Q1, Q2):
        of_quarter = [row for row in told if row[0] == quarter]
        assert [row[5] for row in of_quarter] == [None, *(row[1] for row in of_quarter)][: len(of_quarter)]
        assert [row[4] for row in of_quarter] == [number > 0 for number in range(len(of_quarter))]


# Answers


@pytest.fixture(scope="module")
def full() -> Path:
    """A record in which every question has an answer."""
    return record([
        reported(0, Q1, "100", EPS="1", Name="x", New="1"), reported(1, Q1, "90", EPS="1.5", Name="y", PERatio="abc"),
        reported(2, Q2, "95", EPS="1.5", Name="y"), gone(3), seen(4, MarketCapitalization="3"),
    ])  # fmt: skip


def answers(asked: History) -> dict[str, Answer[Any]]:
    return {
        "history": asked.history("IBM", ["eps", "latest_quarter", "name", "market_capitalization"]),
        "as_of": asked.as_of("now", fields=["eps", "latest_quarter", "name", "market_capitalization"]),
        "changes": asked.changes(),
        "vintages": asked.vintages("IBM"),
        "vintages of dates": asked.vintages("IBM", ["dividend_date", "revenue_ttm"]),
        "restatements": asked.restatements(),
    }


def test_every_answer_can_be_read_again_and_again(full: Path) -> None:
    with History.open(full) as asked:
        for answer in answers(asked).values():
            once = list(answer)
            assert once
            assert list(answer) == once
            assert len(list(answer.rows())) == len(once)
            assert all(len(row) == len(answer.names) for row in answer.rows())
            assert list(zip(answer, answer, strict=True)) == [(one, one) for one in once], "and two at a time"


def test_asking_changes_nothing(full: Path) -> None:
    bytes_before = full.read_bytes()
    with History.open(full) as asked:
        for answer in answers(asked).values():
            list(answer)
        list(asked.documents_as_of("now"))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            asked._db.execute("DELETE FROM snapshots")
    assert full.read_bytes() == bytes_before


def test_every_answer_is_a_typed_table_of_arrow(full: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    with History.open(full) as asked:
        tables = {name: answer.to_arrow() for name, answer in answers(asked).items()}
        rows = {name: list(answer) for name, answer in answers(asked).items()}
        empty = asked.history("IBM", ["eps"], until="2000-01-01").to_arrow()
    instant, words = pa.timestamp("ms", tz="UTC"), pa.dictionary(pa.int32(), pa.string())
    when = {"symbol": words, "observed_at": instant, "confirmed_at": instant}
    fields = {"eps": pa.float64(), "latest_quarter": pa.date32(), "name": words, "market_capitalization": pa.int64()}
    assert types(tables["history"]) == {**when, **fields}
    assert types(tables["as_of"]) == {**when, "staleness_hours": pa.float64(), **fields}
    assert types(tables["changes"]) == {
        "symbol": words, "field": words, "part": words, "kind": words, "before": pa.string(), "after": pa.string(),
        "change": pa.float64(), "last_confirmed_at": instant, "observed_at": instant, "suspicion": words,
    }  # fmt: skip
    assert types(tables["vintages"]) == types(tables["restatements"]) == {
        "symbol": words, "field": words, "latest_quarter": pa.date32(), "value": pa.float64(), "known_from": instant,
        "known_until": instant, "is_restatement": pa.bool_(), "before": pa.float64(), "change": pa.float64(),
    }  # fmt: skip
    assert types(tables["vintages of dates"])["value"] == pa.string()
    assert types(empty) == {**when, "eps": pa.float64()}
    assert empty.num_rows == 0
    for name, table in tables.items():
        assert table.num_rows == len(rows[name])
    assert tables["history"].column("observed_at").to_pylist() == [one.observed_at for one in rows["history"]]
    assert tables["history"].column("latest_quarter").to_pylist()[0] == date(2025, 3, 31)
    assert tables["vintages"].column("value").to_pylist() == [one.value for one in rows["vintages"]]
    assert tables["restatements"].column("is_restatement").to_pylist() == [True]


def types(table: Any) -> dict[str, Any]:
    return {field.name: field.type for field in table.schema}


def test_whole_numbers_of_any_size_go_into_arrow() -> None:
    pytest.importorskip("pyarrow")
    huge = 2**62 + 1
    with History.open(record([reported(0, Q1, str(huge)), reported(1, Q1, "1")])) as asked:
        assert asked.vintages("IBM", ["revenue_ttm"]).to_arrow().column("value").to_pylist() == [huge, 1]


# Files


def test_what_is_absent_empty_or_another_programs_is_refused(tmp_path: Path, database: Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("not a database, whatever its name is" * 30)
    for name, why in {"absent.db": "pipeline collect", "empty.db": "pipeline collect", "text.db": "not a data"}.items():
        with pytest.raises(DatabaseError, match=why), History.open(tmp_path / name):
            pass
    assert not (tmp_path / "absent.db").exists()
    with History.open(database) as asked:
        assert not list(asked.as_of("now"))
        assert not list(asked.changes())
        with pytest.raises(NoData, match=r"no snapshot yet: .*pipeline collect"):
            asked.history("IBM")


@needs_recordings
def test_as_of_any_day_of_the_recorded_year_is_what_that_days_looks_alone_would_tell() -> None:
    looks = list(recorded_year())
    days = [date(2023, 7, 22), date(2023, 12, 31)]
    with History.open(record(looks)) as whole:
        for day in days:
            end = instants.of_day(day, ends=True)
            with History.open(record([look for look in looks if look.at <= end])) as then:
                rows = list(then.as_of(day).rows())
                assert rows
                assert list(whole.as_of(day).rows()) == rows
                assert list(whole.documents_as_of(day)) == list(then.documents_as_of("2026-01-01"))


def test_snapshots_are_values() -> None:
    one = Snapshot("IBM", START, START, {"pe_ratio": 1.0})
    assert one == Snapshot("IBM", START, START, {"pe_ratio": 1.0})
    with pytest.raises(AttributeError):
        one.symbol = "PEP"  # type: ignore[misc]


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
    with History.open(record([seen(0)])) as history, pytest.raises(Trouble, match="pip install"):
        history.history("IBM").to_arrow()

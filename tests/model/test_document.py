"""Overviews: what is shredded comes back to the letter, and columns hold what their types promise."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import attrgetter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.model.document import Document, Overview, Parts, join_document, same_document, split_document, version_of
from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Kind
from pipeline.model.symbols import Symbol, parse_symbol, same_company
from pipeline.model.values import Value, format_value, is_valid, parse_value
from tests.support.recordings import RECORDINGS, needs_recordings, recorded

IBM = Symbol("IBM")


def same(one: Document, other: Document) -> bool:
    return same_document(version_of(parts(one)), version_of(parts(other)))


def parts(received: Document) -> Parts:
    return split_document(Overview(IBM, {"Symbol": "IBM", **received}))


def column(name: str, received: object) -> Value:
    return parse_value(FIELDS[name], received)


def exactly(value: object) -> str:
    """JSON text: keys in order, and 1, 1.0, "1" and true told apart."""
    return json.dumps(value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SPELLINGS = st.one_of(
    TEXT,
    st.sampled_from(
        ["None", "-", "NONE", "0", "-0", "0.0", "-99999.99", "1e5", "64.0", "67.100", "nan", "inf", "1_000", "007"]
        + ["\uff11\uff12", "2024-02-29", "2023-02-29", "0000-00-00", "1e400", "9007199254740993.5", str(2**63)]
    ),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    st.integers().map(str),
    st.floats().map(repr),
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = SPELLINGS | NUMBERS | st.booleans() | st.none()
NESTED = st.recursive(SCALARS, lambda members: st.lists(members) | st.dictionaries(TEXT, members))
DOCUMENTS = st.dictionaries(st.sampled_from(sorted(FIELDS)) | TEXT, SCALARS | NESTED, max_size=12).flatmap(
    lambda fields: st.permutations([*(fields | {"Symbol": "IBM"}).items()]).map(dict)
)


@settings(max_examples=50)
@given(DOCUMENTS)
@example({"Symbol": "IBM", "EPS": "-0", "EBITDA": "-0", "Beta": "-0.0", "PERatio": "1e-7", "EVToRevenue": "0.0000001"})
def test_any_document_comes_back_exactly(received: Document) -> None:
    again = join_document(IBM, split_document(Overview(IBM, received)))
    assert exactly(again) == exactly(received)


@pytest.fixture(scope="module")
def keeps() -> Iterator[Callable[[Kind, Value], Value]]:
    """What a column of SQLite gives back of a value."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE t (integer INTEGER, real REAL, text TEXT, date TEXT) STRICT")

        def kept(kind: Kind, value: Value) -> Value:
            db.execute("DELETE FROM t")
            db.execute(f"INSERT INTO t ({kind}) VALUES (?)", (value,))
            found: Value = db.execute(f"SELECT {kind} FROM t").fetchone()[0]
            return found

        yield kept


@given(field=st.sampled_from(CATALOGUE[1:]), received=SCALARS)
@example(field=FIELDS["Beta"], received="-0")
@example(field=FIELDS["Beta"], received="-0.0")
@example(field=FIELDS["Beta"], received=-0.0)
@example(field=FIELDS["EBITDA"], received="9223372036854775807")
def test_columns_survive_sqlite(keeps: Callable[[Kind, Value], Value], field: Field, received: object) -> None:
    (value,) = (
        value
        for fields, values in zip(
            (PROFILE_FIELDS, REPORTED_FIELDS, DAILY_FIELDS),
            attrgetter("profile", "reported", "daily")(parts({field.name: received})),
            strict=True,
        )
        for other, value in zip(fields, values, strict=True)
        if other is field
    )
    assert exactly(keeps(field.kind, value)) == exactly(value)


@needs_recordings
@pytest.mark.parametrize("name", ["overviews.jsonl.gz", "daily_2023_2025.jsonl.gz"])
def test_every_recorded_overview_comes_back_exactly(name: str) -> None:
    lengths = set()
    for line in recorded(name):
        if line["body"].startswith("{") and f'"Symbol": "{line["symbol"]}"' in line["body"]:
            received = json.loads(line["body"])
            symbol = Symbol(line["symbol"])
            assert exactly(join_document(symbol, split_document(Overview(symbol, received)))) == exactly(received)
            lengths.add(len(received))
    assert len(lengths) >= 2


@needs_recordings
def test_the_catalogue_is_the_current_document_in_its_order() -> None:
    newest = [json.loads(line["body"]) for line in recorded("overviews.jsonl.gz")]
    assert {tuple(received) for received in newest if len(received) == 55} == {tuple(f.name for f in CATALOGUE)}


@needs_recordings
def test_nothing_current_is_illegible() -> None:
    for line in recorded("overviews.jsonl.gz"):
        for name, received in json.loads(line["body"]).items():
            assert name not in FIELDS or is_valid(FIELDS[name], received), (line["symbol"], name, received)


def test_the_catalogue_names_each_column_once_in_snake_case() -> None:
    assert len({field.column for field in CATALOGUE}) == len(CATALOGUE) == 55
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", field.column) for field in CATALOGUE)
    assert {FIELDS["PERatio"].column, FIELDS["52WeekHigh"].column, FIELDS["50DayMovingAverage"].column} == {
        "pe_ratio",
        "week_52_high",
        "day_50_moving_average",
    }


def test_fields_are_grouped_by_their_speed() -> None:
    daily = {field.name for field in DAILY_FIELDS}
    reported = {field.name for field in REPORTED_FIELDS}
    assert {"EPS", "DilutedEPSTTM", "ReturnOnEquityTTM", "AnalystTargetPrice", "MarketCapitalization"} <= daily
    assert {"AnalystRatingBuy", "SharesOutstanding", "SharesFloat", "LatestQuarter", "DividendDate"} <= reported
    assert len(daily) + len(reported) + len(PROFILE_FIELDS) == 54


@pytest.mark.parametrize(
    ("name", "received", "expected"),
    [
        ("PERatio", "37.18", 37.18),
        ("PERatio", "64.0", 64.0),
        ("PERatio", "None", None),
        ("PERatio", "-", None),
        ("PERatio", "1_000", None),
        ("PERatio", "nan", None),
        ("PERatio", "infinity", None),
        ("PERatio", "1e400", None),
        ("PERatio", "\uff11\uff12", None),
        ("PERatio", 37.5, 37.5),
        ("PERatio", True, None),
        ("PERatio", None, None),
        ("EBITDA", "17767000000", 17767000000),
        ("EBITDA", "9007199254740993", 9007199254740993),
        ("EBITDA", "12.5", None),
        ("EBITDA", "12.0", 12),
        ("EBITDA", "1.5e3", 1500),
        ("EBITDA", "9223372036854775808", None),
        ("EBITDA", "-9223372036854775807", -9223372036854775807),
        ("EBITDA", "-9223372036854775808", None),  # SQLite's abs() fails of it
        ("EBITDA", "0", 0),
        ("LatestQuarter", "2025-09-30", "2025-09-30"),
        ("LatestQuarter", "2025-02-30", None),
        ("LatestQuarter", "0000-00-00", None),
        ("ReturnOnEquityTTM", "-99999.99", None),
        ("Address", "NONE", None),
        ("Name", "NONE", "NONE"),
        ("Name", "", ""),
        ("Sector", "None", None),
    ],
)
def test_a_column_holds_the_value_or_nothing(name: str, received: object, expected: Value) -> None:
    assert exactly(column(name, received)) == exactly(expected)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_as_a_plain_decimal_that_reads_back(number: float) -> None:
    spelling = format_value(FIELDS["Beta"], number)
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", spelling)
    assert column("Beta", spelling) == number


def test_usual_spellings_leave_nothing_to_extra() -> None:
    usual = {"PERatio": "37.18", "EPS": "9", "Beta": "0", "TrailingPE": "-", "PEGRatio": "None", "EBITDA": "-5"}
    assert parts(usual).extra is None


def test_what_columns_cannot_give_back_is_in_extra() -> None:
    odd = {"PercentInsiders": "0.200", "PERatio": "-", "Beta": 1.5, "PayoutRatio": "0.4", "Name": None}
    assert json.loads(parts(odd).extra or "") == odd


def test_documents_are_equal_whatever_their_order_but_not_whatever_their_types() -> None:
    one: Document = {"EPS": "1", "New": {"a": 1, "b": [2]}}
    assert same(one, {"New": {"b": [2], "a": 1}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": 1.0}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": True}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "1.0"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "2"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "1", "Beta": "None"})


@pytest.mark.parametrize(
    "text", ["AAPL", "aapl", "BRK-B", "BRK.B", "-P-HIZ", "AGZ:BAT", "BC/PB", "NXT(EXP20091224)", "0700.HK"]
)
def test_what_the_api_lists_is_a_symbol(text: str) -> None:
    assert parse_symbol(text) == text.upper()


@pytest.mark.parametrize(
    "text", ["", " ", "A B", "../x", "A/../B", "A\n", "\x1b[31m", "A" * 33, "ß", "A&apikey=x", "-", "."]
)
def test_what_cannot_be_a_symbol_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="BRK-B"):
        parse_symbol(text)


@needs_recordings
def test_all_but_one_of_the_listed_symbols_are_symbols() -> None:
    lines = (RECORDINGS / "listing_status_active.csv").read_text(encoding="utf-8").splitlines()[1:]
    refused = [line for line in lines if not is_symbol(line.split(",")[0])]
    assert [line.split(",")[0] for line in refused] == ["NYCB- PR-U"]


def is_symbol(text: str) -> bool:
    try:
        parse_symbol(text)
    except ValueError:
        return False
    return True


def test_the_same_company_under_a_dot_and_a_hyphen() -> None:
    assert same_company("BRK.B", "BRK-B")
    assert same_company("BRK-B", "brk.b")
    assert not same_company("BRK.B", "BRK.A")
    assert not same_company("BRK.B", None)


def test_a_symbol_answered_in_another_spelling_comes_back_so() -> None:
    asked = Symbol("BRK.B")
    received = {"Symbol": "BRK-B", "Name": "x"}
    assert join_document(asked, split_document(Overview(asked, received))) == received

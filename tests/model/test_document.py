"""Documents: split and joined again they are exactly the same, and columns hold what their types promise."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import attrgetter
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.api.errors import NotJson
from pipeline.api.responses import read_response
from pipeline.json_text import read_integer, read_real, spaced_json
from pipeline.model.document import (
    Document,
    Overview,
    Parts,
    as_sent,
    digest_by_name,
    join_document,
    same_document,
    split_document,
    version_of,
)
from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Kind
from pipeline.model.symbols import Symbol
from pipeline.model.values import Value
from tests.support.documents import JSON_TEXTS, SCALARS, TEXT, exactly, object_text, tokens
from tests.support.recordings import needs_recordings, recorded

IBM = Symbol("IBM")


def same(one: Document, other: Document) -> bool:
    return same_document(version_of(parts(one)), version_of(parts(other)))


def parts(received: Document) -> Parts:
    return split_document(Overview(IBM, {"Symbol": "IBM", **received}))


NESTED = st.recursive(SCALARS, lambda members: st.lists(members) | st.dictionaries(TEXT, members))
DOCUMENTS = st.dictionaries(st.sampled_from(sorted(FIELDS)) | TEXT, SCALARS | NESTED, max_size=12).flatmap(
    lambda fields: st.permutations([*(fields | {"Symbol": "IBM"}).items()]).map(dict)
)


@given(DOCUMENTS)
@example({"Symbol": "IBM", "EPS": "-0", "EBITDA": "-0", "Beta": "-0.0", "PERatio": "1e-7", "EVToRevenue": "0.0000001"})
def test_any_document_comes_back_exactly(received: Document) -> None:
    again = join_document(IBM, split_document(Overview(IBM, received)))
    assert exactly(again) == exactly(received)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | TEXT, JSON_TEXTS, max_size=6))
def test_any_answer_has_the_same_tokens_again(members: dict[str, str]) -> None:
    sent = object_text({name.replace("\0", ""): value for name, value in members.items()} | {"Symbol": '"IBM"'})
    try:
        received = read_response(IBM, 200, {}, sent.encode())
    except NotJson:
        assert "\\u0000" in sent
        return
    assert repr(tokens(as_sent(join_document(IBM, split_document(received))))) == repr(tokens(sent))


@pytest.fixture(scope="module")
def keeps() -> Iterator[Callable[[Kind, Value], Value]]:
    """Writes a value to a column of SQLite, and returns what it reads back."""
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


def test_usual_spellings_leave_nothing_to_extra() -> None:
    usual = {"PERatio": "37.18", "EPS": "9", "Beta": "0", "TrailingPE": "-", "PEGRatio": "None", "EBITDA": "-5"}
    assert parts(usual).extra is None


def test_what_columns_cannot_reproduce_is_in_extra() -> None:
    odd = {"PercentInsiders": "0.200", "PERatio": "-", "Beta": 1.5, "PayoutRatio": "0.4", "Name": None}
    assert json.loads(parts(odd).extra or "") == odd


COLUMNS = st.dictionaries(TEXT, st.none() | SCALARS.filter(lambda value: type(value) in (str, int, float)), max_size=8)


@given(COLUMNS, st.randoms(), TEXT)
def test_neither_the_order_of_columns_nor_a_further_one_changes_a_digest(
    values: dict[str, Value], random: Random, further: str
) -> None:
    expected = digest_by_name([*values], [*values.values()])
    columns = [*values, *({further} - values.keys())]
    random.shuffle(columns)

    assert digest_by_name(columns, [values.get(column) for column in columns]) == expected


def test_a_value_in_another_column_or_of_another_type_has_another_digest() -> None:
    alike = [
        digest_by_name(["a", "b"], [1, None]), digest_by_name(["a", "b"], [None, 1]), digest_by_name(["a"], [1.0]),
        digest_by_name(["a"], ["1"]), digest_by_name(["a"], [None]),
    ]  # fmt: skip
    assert len({*alike}) == len(alike)


def test_documents_are_the_same_in_any_order_of_keys_but_not_with_other_types() -> None:
    one: Document = {"EPS": "1", "New": {"a": 1, "b": [2]}}
    assert same(one, {"New": {"b": [2], "a": 1}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": 1.0}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": True}, "EPS": "1"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "1.0"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "2"})
    assert not same(one, {"New": {"b": [2], "a": 1}, "EPS": "1", "Beta": "None"})


def test_documents_with_another_spelling_of_a_number_are_not_the_same() -> None:
    one: Document = {"EPS": read_real("1.10"), "New": {"a": read_real("1e2"), "b": 1}}
    assert same(one, {"New": {"b": 1, "a": read_real("1e2")}, "EPS": read_real("1.10")})
    assert not same(one, {**one, "EPS": 1.1})
    assert not same(one, {**one, "EPS": "1.10"})
    assert not same(one, {**one, "New": {"b": 1, "a": 100.0}})


def test_columns_hold_all_digits_of_a_number_without_quotes() -> None:
    received = {"EBITDA": read_real("12345678901234567.0"), "PERatio": read_real("1e00002"), "EPS": read_integer("-0")}
    split = parts(received)
    assert 12345678901234567 in split.reported
    assert 100.0 in split.daily
    assert spaced_json(received) == '{"EBITDA": 12345678901234567.0, "PERatio": 1e00002, "EPS": -0}'


def test_a_symbol_answered_in_another_form_is_kept_in_that_form() -> None:
    requested = Symbol("BRK.B")
    received = {"Symbol": "BRK-B", "Name": "x"}
    assert join_document(requested, split_document(Overview(requested, received))) == received

"""JSON text: every number comes back as it was spelled, and is a number all the same."""

import copy
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.decoding import decode_object
from pipeline.errors import Undecodable
from pipeline.json_text import SpelledNumber, encode_json, is_spelled, plain, read_real, sorted_json, spaced_json
from tests.support.documents import JSON_TEXTS, NUMBER_TEXTS, TEXT, number, object_text, tokens

_TEXTS = NUMBER_TEXTS | st.sampled_from(["1e400", "-1e400", "9" * 5_000, "0." + "1" * 5_000, "1e-99999"])


@given(_TEXTS)
@example("-0")
@example("1e16")
@example("1e+16")
@example("12345678901234567.0")
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    value = decode_object(f'{{"a": [{text}]}}')

    assert encode_json(value).decode() == f'{{"a":[{text}]}}'
    assert spaced_json(value) == f'{{"a": [{text}]}}'
    assert str(value["a"][0]) == text


@given(st.dictionaries(TEXT, JSON_TEXTS, max_size=4))
def test_any_object_has_the_same_tokens_again(pairs: dict[str, str]) -> None:
    text = object_text(pairs)
    value = decode_object(text)

    for written in (encode_json(value).decode(), spaced_json(value), spaced_json(value, indent=4)):
        assert tokens(written) == tokens(text)
        assert [*tokens(written)] == [*pairs], "in the same order"


@given(_TEXTS)
def test_a_number_can_be_used_as_one(text: str) -> None:
    value = number(text)

    assert value == float(text) or int(text) == value
    assert float(plain([value])[0]) == float(text)
    assert type(plain([value])[0]) in (int, float)
    for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert str(again) == text


def test_a_number_that_python_spells_alike_is_its_own() -> None:
    assert [type(value) for value in map(number, ["7", "1.5", "-0.0", "100.0", "9" * 30])] == [
        int, float, float, float, int,
    ]  # fmt: skip
    assert all(isinstance(number(text), SpelledNumber) for text in ("-0", "1.10", "1e2", "100.00", "0.1" + "0" * 20))


def test_objects_are_alike_in_any_order_and_only_with_the_same_spellings() -> None:
    one, other = (
        decode_object('{"a": 1.10, "b": [{"c": 1, "d": 2}]}'),
        decode_object('{"b": [{"d": 2, "c": 1}], "a": 1.1}'),
    )
    assert sorted_json(one) != sorted_json(other)
    assert sorted_json({**one, "a": read_real("1.1")}) == sorted_json(other)
    assert is_spelled({"x": [{"y": one}]})
    assert not is_spelled(other)


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": Infinity}', '{"a": [-Infinity]}', '{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": 01}']
    + ['{"a": 1.}', '{"a": .5}', '{"a": +1}', "[1]", "", '{"a": ' + "[" * 101 + "]" * 101 + "}", "[" * 50_000],
)
def test_what_is_no_json_or_can_not_be_written_is_refused(text: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decode_object(text)
    assert str(refused.value).isprintable()


def test_nesting_is_bounded_and_many_lists_are_not_deep() -> None:
    assert decode_object('{"a": ' + "[" * 99 + "]" * 99 + "}")
    assert decode_object('{"a": [' + ", ".join(["[]"] * 1_000) + "]}")

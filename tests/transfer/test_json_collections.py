"""Files of many documents, in every shape that collectors write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Undecodable
from pipeline.transfer.json_collections import holds_many, items, symbol_in

IBM = '{"Symbol": "IBM", "EPS": "1.10"}'
AAPL = '{"Symbol": "AAPL"}'


def found(text: str) -> list[tuple[str, str | None, str]]:
    return [(item.name, item.symbol, item.content.decode()) for item in items(text.encode())]


BOTH = [("1", "IBM", IBM), ("2", "AAPL", AAPL)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"[{IBM}, {AAPL}]", BOTH),
        (f" \n[{IBM},\n{AAPL}]\n", BOTH),
        (f"{IBM}\n{AAPL}\n", BOTH),
        (f"\n{IBM}\r\n\r\n{AAPL}", BOTH),
        (f"{IBM}{AAPL}", BOTH),
        (f'{{"updated": "2024-03-14", "companies": [{IBM}, {AAPL}]}}', BOTH),
        (f'{{"IBM": {IBM}, "Apple": {AAPL}}}', [("IBM", "IBM", IBM), ("Apple", "AAPL", AAPL)]),
        (f'{{"updated": "2024", "IBM": {IBM}, "PEP": {{}}}}', [("IBM", "IBM", IBM), ("PEP", "PEP", "{}")]),
        (f'{{"data": {{"IBM": {IBM}, "PEP": {{}}}}}}', [("IBM", "IBM", IBM), ("PEP", "PEP", "{}")]),
        (IBM, [("1", "IBM", IBM)]),
        ('{"PEP": {}, "KO": {"Note": "wait"}}', [("PEP", "PEP", "{}"), ("KO", "KO", '{"Note": "wait"}')]),
        ('{"PEP": {}}', [("PEP", "PEP", "{}")]),
        ('{"data": {}}', [("data", None, "{}")]),
        ('{"2024-03-14": {}, "2024-03-15": {}}', [("2024-03-14", None, "{}"), ("2024-03-15", None, "{}")]),
        ("[{}, 7]", [("1", None, "{}"), ("2", None, "7")]),
        ('{"Note": "wait"}', [("1", None, '{"Note": "wait"}')]),
        ("[]", []),
    ],
)
def test_documents_are_found_exactly_as_written(text: str, expected: list[tuple[str, str | None, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "7", '"x"', "[", f"{IBM}\n7\n", f"{IBM}\n{{", '{"a": {"b": [1]}, "c": []}', '{"a": {"b": {"c": {"d": {}}}}}']
    + ["[" * 100_000, '{"a":' * 100_000],
)
def test_anything_else_is_undecodable(text: str) -> None:
    with pytest.raises(Undecodable):
        items(text.encode())


_documents = st.lists(
    st.dictionaries(st.sampled_from(["Symbol", "EPS", "x"]), st.text(max_size=5), min_size=1), min_size=2
)


@given(_documents, st.sampled_from(["array", "lines", "joined"]))
def test_every_shape_gives_the_same_documents(documents: list[dict[str, str]], shape: str) -> None:
    texts = [json.dumps(one) for one in documents]
    text = f"[{','.join(texts)}]" if shape == "array" else ("\n" if shape == "lines" else "").join(texts)
    assert [item.content.decode() for item in items(text.encode())] == texts


@pytest.mark.parametrize(
    ("text", "many"),
    [(f"[{IBM}]", True), (f"{IBM} {AAPL}", True), ('{"PEP": {}, "KO": {}}', True), (IBM, False), ("{}", False),
     ('{"Note": "wait"}', False), ("[tool]\nname = 1", False), ("", False), ('{"a": {}, "b": {}}', False)],
)  # fmt: skip
def test_many_documents_are_an_array_or_name_their_symbols(text: str, many: bool) -> None:
    assert holds_many(text.encode()) is many


def test_a_symbol_is_a_text() -> None:
    assert [symbol_in(text) for text in (b'{"Symbol": "IBM"}', b'{"Symbol": 7}', b"{}", b"[]", b"\xff")] == [
        "IBM", None, None, None, None,
    ]  # fmt: skip

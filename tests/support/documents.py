"""Documents: texts and values that a field may be sent, an exact comparison, and snapshots prepared for comparison."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from pipeline.json_text import read_integer, read_real
from pipeline.model.changes import ComparedSnapshot
from pipeline.model.document import Overview, split_document
from pipeline.model.symbols import Symbol


def exactly(value: object) -> str:
    """JSON text: keys in order, and 1, 1.0, 1.00, "1" and true kept apart."""
    return json.dumps(_told_apart(value))


def _told_apart(value: object) -> object:
    if isinstance(value, dict):
        return {name: _told_apart(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_told_apart(member) for member in value]
    return {"number": repr(value)} if isinstance(value, int | float) and not isinstance(value, bool) else value


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
NUMBER_TEXTS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(["1.10", "1.0", "-0", "-0.0", "0e0", "1e2", "1E+2", "1e00002", "1e16", "1e+16", "1e-05", "9" * 99]),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
"""Numbers as they may stand in JSON, in any spelling."""


def number(text: str) -> int | float:
    """Return the value of a number in JSON."""
    return read_real(text) if {*text} & {*".eE"} else read_integer(text)


NUMBERS = NUMBER_TEXTS.map(number)
SCALARS = SPELLINGS | NUMBERS | st.booleans() | st.none()


def compared(document: Mapping[str, Any], observed_at: str = "2026-04-14T18:30:00.000Z") -> ComparedSnapshot:
    """Return a document, to which its Symbol is added, as a snapshot prepared for comparison."""
    parts = split_document(Overview(Symbol("IBM"), {"Symbol": "IBM", **document}))
    ids = hash(parts.profile), hash(parts.reported), hash(parts.layout)
    return ComparedSnapshot(
        observed_at, observed_at, *ids, parts.profile, parts.reported, parts.daily, parts.layout, parts.extra
    )


def tokens(text: str | bytes) -> Any:
    """Return a JSON value with each number as its text, read by Python's own decoder."""
    return json.loads(text, parse_int=lambda text: {"number": text}, parse_float=lambda text: {"number": text})


def object_text(pairs: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in pairs.items()) + "}"


JSON_TEXTS = st.recursive(
    NUMBER_TEXTS | TEXT.map(json.dumps) | st.sampled_from(["true", "false", "null", "[]", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda texts: f"[{', '.join(texts)}]")
        | st.dictionaries(TEXT, inner, max_size=3).map(object_text)
    ),
    max_leaves=8,
)
"""Values as they may stand in JSON, numbers in any spelling."""

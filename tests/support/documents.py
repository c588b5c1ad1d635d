"""Documents: texts and values that a field may be sent, and an exact comparison."""

import json

from hypothesis import strategies as st


def exactly(value: object) -> str:
    """JSON text: keys in order, and 1, 1.0, "1" and true kept apart."""
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

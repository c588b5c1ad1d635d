"""Values: what a column holds of a received text, and how it is written again."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.fields import FIELDS
from pipeline.model.values import Value, format_value, is_valid, parse_value
from tests.support.documents import exactly
from tests.support.recordings import needs_recordings, recorded


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
        ("EBITDA", "-9223372036854775808", None),  # SQLite's abs() fails for it
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
    assert exactly(parse_value(FIELDS[name], received)) == exactly(expected)


@settings(max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_as_a_plain_decimal_that_reads_back(number: float) -> None:
    spelling = format_value(FIELDS["Beta"], number)
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", spelling)
    assert parse_value(FIELDS["Beta"], spelling) == number


@needs_recordings
def test_every_current_value_is_valid() -> None:
    for line in recorded("overviews.jsonl.gz"):
        for name, received in json.loads(line["body"]).items():
            assert name not in FIELDS or is_valid(FIELDS[name], received), (line["symbol"], name, received)

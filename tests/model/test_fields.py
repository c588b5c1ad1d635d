"""The catalogue: the current document, field by field, and finding a field by either name."""

import json
import re

import pytest

from pipeline.model.fields import (
    CATALOGUE,
    DAILY_FIELDS,
    FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    SYMBOL_FIELD,
    FieldNotFound,
    find_field,
    find_fields,
)
from tests.support.recordings import needs_recordings, recorded


@needs_recordings
def test_the_catalogue_is_the_current_document_in_its_order() -> None:
    newest = [json.loads(line["body"]) for line in recorded("overviews.jsonl.gz")]
    current = max((received for received in newest if received.keys() <= FIELDS.keys()), key=len)
    assert [*current] == [name for name in FIELDS if name in current]
    assert "PercentInstitutions" in current, "the newest field that the recordings have"


def test_the_catalogue_names_each_column_once_in_snake_case() -> None:
    assert len({field.column for field in CATALOGUE}) == len(CATALOGUE)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", field.column) for field in CATALOGUE)
    assert {FIELDS["PERatio"].column, FIELDS["52WeekHigh"].column, FIELDS["50DayMovingAverage"].column} == {
        "pe_ratio",
        "week_52_high",
        "day_50_moving_average",
    }


def test_column_type_and_description_of_a_field_fit_80_columns() -> None:
    longest_column, longest_kind = (
        max(len(text) for text in texts) for texts in zip(*((f.column, f.kind) for f in CATALOGUE), strict=True)
    )

    assert all(0 < len(field.description) <= 80 - longest_column - longest_kind - 4 for field in CATALOGUE)


def test_fields_are_grouped_by_how_often_they_change() -> None:
    daily = {field.name for field in DAILY_FIELDS}
    reported = {field.name for field in REPORTED_FIELDS}
    assert {"EPS", "DilutedEPSTTM", "ReturnOnEquityTTM", "AnalystTargetPrice", "MarketCapitalization"} <= daily
    assert {"AnalystRatingBuy", "SharesOutstanding", "SharesFloat", "LatestQuarter", "DividendDate"} <= reported
    assert len(daily) + len(reported) + len(PROFILE_FIELDS) == len(CATALOGUE) - 1


@pytest.mark.parametrize("name", ["pe_ratio", "PERatio", "peratio", "PE_RATIO", "pe-ratio"])
def test_a_field_is_found_by_its_column_or_its_name_in_the_api(name: str) -> None:
    assert find_field(name) is FIELDS["PERatio"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pe_rato", "pe_ratio"),
        ("52WekHigh", "week_52_high"),
        ("capitali", "market_capitalization"),
        ("", "pipeline fields"),
        ("PE", "pe_ratio"),
        ("mc", "market_capitalization"),
        ("roe", "return_on_equity_ttm"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_or_where_all_are(name: str, remedy: str) -> None:
    with pytest.raises(FieldNotFound, match=re.escape(repr(name))) as caught:
        find_field(name)
    assert remedy in str(caught.value.remedy)


def test_the_given_fields_come_once_and_without_the_symbol() -> None:
    eps = FIELDS["EPS"]
    assert find_fields(["EPS", eps, "eps", SYMBOL_FIELD.column, "Beta"], DAILY_FIELDS) == (eps, FIELDS["Beta"])
    assert find_fields("EPS", DAILY_FIELDS) == (eps,)
    assert find_fields(None, DAILY_FIELDS) == find_fields([], DAILY_FIELDS) == DAILY_FIELDS

"""Name patterns: what is read off a path, and that nothing is guessed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.instants import to_text
from pipeline.transfer.name_patterns import NamePattern

END = "2024-03-14T23:59:59.999Z"


def read(pattern: str, path: str) -> tuple[str | None, str | None] | None:
    named = NamePattern(pattern).match(Path(path))
    if named is None:
        return None
    at = named.received_at()
    return named.symbol, None if at is None else to_text(at)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{symbol}/{date}.json", "a/b/IBM/2024-03-14.json", ("IBM", END)),
        ("{symbol}/{date}.json", "IBM/20240314.json", ("IBM", END)),
        ("{symbol}_{date}.json", "a/BRK-B_2024-03-14.json", ("BRK-B", END)),
        ("{symbol}-{date}.json", "BRK-B-2024-03-14.json", ("BRK-B", END)),
        ("{symbol}_{time}.json", "IBM_20240314T183000Z.json", ("IBM", "2024-03-14T18:30:00.000Z")),
        ("{symbol}_{time}.json", "IBM_2024-03-14T1830.json", ("IBM", "2024-03-14T18:30:00.000Z")),
        ("{symbol}_{time}.json", "IBM_2024-03-14_18:30:01+02:00.json", ("IBM", "2024-03-14T16:30:01.000Z")),
        ("{date}/*/{symbol}.json", "2024-03-14/any thing/IBM.json", ("IBM", END)),
        ("*_{symbol}.json", "overview_IBM.json", ("IBM", None)),
        ("{date}.jsonl.gz", "a/2024-03-14.jsonl.gz", (None, END)),
        ("a+b/{symbol}.json", "a+b/IBM.json", ("IBM", None)),
    ],
)
def test_a_path_says_symbol_and_time(pattern: str, path: str, expected: tuple[str | None, str | None]) -> None:
    assert read(pattern, path) == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{symbol}/{date}.json", "2024-03-14.json"),
        ("{symbol}/{date}.json", "IBM/2024-03-14.json.gz"),
        ("{symbol}/{date}.json", "IBM/2024-3-14.json"),
        ("{symbol}/{date}.json", "IBM/2024-03-14Xjson"),
        ("{symbol}_{time}.json", "IBM_2024-03-14.json"),
        ("{symbol}.json", "A" * 41 + ".json"),
        ("*-{symbol}.json", "a-BRK-B.json"),
        ("{symbol}-*.json", "BRK-B-x.json"),
    ],
)
def test_a_path_that_does_not_match_or_could_be_read_in_two_ways_says_nothing(pattern: str, path: str) -> None:
    assert read(pattern, path) is None


def test_a_day_that_no_calendar_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="2024-02-30"):
        read("{date}.json", "20240230.json")


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "x.json", "{symbol}{date}", "{symbol}/{symbol}", "{sym}", "{symbol", "/{symbol}", "a/../{symbol}",
     "**{symbol}", "{symbol}*", "a*b*{symbol}", "{date}_{time}", "{symbol}//x", "{symbol}" + "x" * 200, "{}/{symbol}"],
)  # fmt: skip
def test_a_pattern_that_cannot_be_meant_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match="invalid pattern"):
        NamePattern(pattern)


_SYMBOL = st.from_regex(r"[A-Z0-9]{1,5}([-.][A-Z]{1,2})?", fullmatch=True)
_INSTANT = st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(_SYMBOL, _INSTANT, st.sampled_from(["{symbol}/{time}.json", "x_{symbol}_{time}.json", "*/{symbol}@{time}"]))
def test_what_a_program_writes_into_a_path_is_read_back(symbol: str, at: datetime, pattern: str) -> None:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ", "%Y-%m-%d_%H%M%S"):
        path = pattern.format(symbol=symbol, time=at.strftime(form)).replace("*", "any")
        assert read(pattern, path) == (symbol, to_text(at))
    ends = at.replace(hour=0, minute=0, second=0) + timedelta(days=1, milliseconds=-1)
    dated = pattern.replace("{time}", "{date}")
    path = dated.format(symbol=symbol, date=at.strftime("%Y%m%d")).replace("*", "any")
    assert read(dated, path) == (symbol, to_text(ends))


_PIECES = st.sampled_from(["{symbol}", "{date}", "{time}", "*", "-", "_", "/", "1", "a"])


@given(st.lists(_PIECES, min_size=1, max_size=9).map("".join), st.text("-_12aA.T:Z/", max_size=60))
def test_any_pattern_is_refused_or_answers(pattern: str, path: str) -> None:
    try:
        made = NamePattern(pattern)
    except ValueError:
        return
    made.match(Path(path))

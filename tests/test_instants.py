"""Timestamps: one length in the database; parsers of those that people and recordings write."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import instants

NOW = datetime(2026, 11, 22, 9, 41, 7, 123_000, UTC)


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2026-03-14", "2026-03-14T00:00:00.000Z", "2026-03-14T23:59:59.999Z"),
        ("today", "2026-11-22T00:00:00.000Z", "2026-11-22T23:59:59.999Z"),
        ("Yesterday", "2026-11-21T00:00:00.000Z", "2026-11-21T23:59:59.999Z"),
    ],
)
def test_a_day_alone_is_its_start_or_its_end_in_utc(text: str, begins: str, ends: str) -> None:
    assert instants.to_text(instants.parse(text, now=NOW, day_ends=False)) == begins
    assert instants.to_text(instants.parse(text, now=NOW, day_ends=True)) == ends


@pytest.mark.parametrize("day_ends", [False, True])
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-14T18:30", "2026-03-14T18:30:00.000Z"),
        ("2026-03-14 18:30:05", "2026-03-14T18:30:05.000Z"),
        ("2026-03-14T18:30:05.25Z", "2026-03-14T18:30:05.250Z"),
        ("2026-03-14T18:30:05.999999999Z", "2026-03-14T18:30:05.999Z"),
        ("2026-03-14T18:30+02:00", "2026-03-14T16:30:00.000Z"),
        ("2026-03-14t00:30-0500", "2026-03-14T05:30:00.000Z"),
        ("now", "2026-11-22T09:41:07.123Z"),
        ("7d", "2026-11-15T09:41:07.123Z"),
        ("3h", "2026-11-22T06:41:07.123Z"),
        ("90M", "2026-11-22T08:11:07.123Z"),
        (" 2w ", "2026-11-08T09:41:07.123Z"),
    ],
)
def test_an_instant_is_the_same_wherever_it_is_written(text: str, instant: str, *, day_ends: bool) -> None:
    assert instants.to_text(instants.parse(text, now=NOW, day_ends=day_ends)) == instant


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "14.03.2026", "2026-3-14", "2026-02-30", "2026-03-14T25:00", "2026-03-14T18:30+99:00", "7",
     "-7d", "7 d", "999999w", "0001-01-01", "\uff12026-03-14", "2026-03-14T18:30 Z", "1e3d"],
)  # fmt: skip
def test_an_invalid_timestamp_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match=rf"{re.escape(repr(text))}.* 2026-03-14, .*yesterday, 7d or 3h"):
        instants.parse(text, now=NOW, day_ends=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-14T18:30:00Z", "2024-03-14T18:30:00.000Z"),
        ("2024-03-14t18:30:00.120z", "2024-03-14T18:30:00.120Z"),
        ("2024-03-14 18:30:00", "2024-03-14T18:30:00.000Z"),
        ("2024-03-14T18:30", "2024-03-14T18:30:00.000Z"),
        ("2024-03-14T18:30:00+05:30", "2024-03-14T13:00:00.000Z"),
        ("2024-03-14T18:30:00-0500", "2024-03-14T23:30:00.000Z"),
        ("2024-03-14T18:30:00+00", "2024-03-14T18:30:00.000Z"),
        ("2024-03-14", "2024-03-14T23:59:59.999Z"),
        ("2024-03-14T18:30:00.1230000", "2024-03-14T18:30:00.123Z"),
        ("2024-03-14T18:30:00.123000001", "2024-03-14T18:30:00.124Z"),
        ("2024-03-14T23:59:59.9999Z", "2024-03-15T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_what_was_received_is_never_earlier_than_written(text: str, expected: str) -> None:
    assert instants.to_text(instants.parse_received(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "20240314", "2024-W11-4", "2024-03-14T18", "2024-02-30", "2024-03-14T24:00:00Z",
        "2024-03-14T18:30:60Z",
        "2024-03-14T18:30:00 UTC", "2024-03-14T18:30:00+24:00", "2024-03-14T18:30.5", "2024-03-14Z", " 2024-03-14",
        "2024-03-14\n", "\u0662024-03-14", "1969-12-31", "1970-01-01T00:00:00+01:00", "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.9999Z", "2024-03-14T18:30:00.1234567890",
    ],
)  # fmt: skip
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=rf"{re.escape(repr(text))}: (use 2026-03-14T18:30:00Z|.* 1970)"):
        instants.parse_received(text)


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    try:
        instant = instants.parse(text, now=NOW, day_ends=True)
    except ValueError:
        return
    assert instant.tzinfo is not None


@settings(max_examples=100)
@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2199, 1, 1)), st.integers(-12, 14))
def test_every_instant_is_read_as_it_was_written(naive: datetime, hours: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(hours=hours)))

    assert instants.parse(instant.isoformat(), now=NOW, day_ends=True) == instant
    assert instants.parse(instants.to_text(instant), now=NOW, day_ends=False) == instant.replace(
        microsecond=instant.microsecond // 1000 * 1000
    )


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("-365d", timedelta(days=-365)), ("+25h", timedelta(hours=25)), ("90m", timedelta(minutes=90)),
        ("-1d2h30m15.5s", -timedelta(days=1, hours=2, minutes=30, seconds=15.5)), ("2W", timedelta(weeks=2)),
        ("0.001s", timedelta(milliseconds=1)),
    ],
)  # fmt: skip
def test_a_shift_is_a_step_with_a_sign(text: str, step: timedelta) -> None:
    assert instants.parse_shift(text) == step


@given(st.text(max_size=12) | st.from_regex(r"[-+]?[0-9smhdw.]{0,12}", fullmatch=True))
def test_any_other_text_is_no_shift(text: str) -> None:
    try:
        step = instants.parse_shift(text)
    except ValueError:
        return
    assert step


@pytest.mark.parametrize(
    "text", ["", "-", "0d", "1y", "d", "1d -2h", "1.5d", "1e3s", "999999999w", "1s2h", "--1d", "\u0661d"]
)
def test_what_is_no_shift_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid shift"):
        instants.parse_shift(text)

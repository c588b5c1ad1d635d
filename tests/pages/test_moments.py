"""Moments: instants as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.pages.moments import age_text, ago, minute_text, moment_text, span_text


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("2026-03-14T23:59:59.999+00:00", "the end of 14 March 2026"),
        ("2026-03-15T00:59:59.999+01:00", "the end of 14 March 2026"),
        ("2026-03-14T18:30:00+00:00", "18:30 on 14 March 2026"),
        ("2026-03-14T18:30:07.250+00:00", "18:30:07 on 14 March 2026"),
    ],
)
def test_an_instant_is_told_in_utc_and_a_day_by_its_end(instant: str, text: str) -> None:
    assert moment_text(datetime.fromisoformat(instant)) == text


def test_minutes() -> None:
    assert minute_text(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)) == "4 Mar 2026, 05:06"


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=59.9), "59 min"),
        (timedelta(hours=47.9), "47 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=59), "59 d"),
        (timedelta(days=61), "2 months"),
        (timedelta(days=800), "2 years"),
    ],
)
def test_ages_are_rounded_down(age: timedelta, text: str) -> None:
    assert age_text(age).replace("\u202f", " ") == text


def test_now_is_not_ago() -> None:
    assert ago(timedelta(seconds=3)) == "just now"
    assert ago(timedelta(hours=3)) == "3\u202fh ago"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (12, "12 s"), (185, "3 min 5 s"), (180, "3 min"), (7_800, "2 h 10 min")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(timedelta(seconds=seconds)).replace("\u202f", " ") == text

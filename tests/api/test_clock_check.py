"""The clock check: an answer is as good as the clock that would date it, compared with the server's."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from pipeline.api.client import OverviewApi, open_api
from pipeline.api.clock_check import ClockCheck
from pipeline.api.errors import Throttled, WrongClock
from pipeline.api.server_time import MOST_OFF, ServerTime, dates
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol
from tests.support.clocks import START, ManualClock
from tests.support.hostile import hostile, says

KEY = KeyId("0123456789abcdef")
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


def listens(clock: ManualClock, *, took: timedelta = timedelta(), **headers: str) -> WrongClock | None:
    """Return what is said of an answer with these headers, which has just come and took so long."""
    check = ClockCheck(clock.as_clock(), lambda _time: None)
    began = check.begin()
    clock.advance(took)
    return check.listen(headers, began=began)


@pytest.mark.parametrize("off", [timedelta(), MOST_OFF, -MOST_OFF, 3 * SECOND])
def test_a_clock_that_is_off_by_minutes_at_most_will_do(clock: ManualClock, off: timedelta) -> None:
    assert listens(clock, Date=http_date(START - off)) is None


@pytest.mark.parametrize(
    "off", [MOST_OFF + 2 * SECOND, -MOST_OFF - 2 * SECOND, timedelta(days=365), timedelta(hours=-25)]
)
def test_a_clock_that_is_off_by_more_is_named_with_both_times(clock: ManualClock, off: timedelta) -> None:
    wrong = listens(clock, Date=http_date(START - off))

    assert "this machine's clock shows 2026-03-14 18:30:00" in str(wrong)
    assert f"{START - off:%Y-%m-%d %H:%M:%S}" in str(wrong)


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 14 Mar 10000 18:30:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_date_that_cannot_be_read_is_no_reason(clock: ManualClock, date: str) -> None:
    assert listens(clock, Date=date) is None
    assert listens(clock) is None


def test_an_answer_out_of_a_cache_is_right_by_either_of_its_times(clock: ManualClock) -> None:
    hour_ago = http_date(START - 60 * MINUTE)

    assert listens(clock, Date=hour_ago, Age="3600") is None
    assert listens(clock, Date=http_date(START), Age="3600") is None
    assert listens(clock, Date=hour_ago, Age="60") is not None


def test_an_answer_may_be_dated_at_any_time_since_its_request_left(clock: ManualClock) -> None:
    assert listens(clock, took=20 * MINUTE, Date=http_date(START)) is None
    assert listens(clock, took=20 * MINUTE, Date=http_date(START - 10 * MINUTE)) is not None


def test_what_the_server_shows_is_known_to_a_second() -> None:
    assert dates({"Date": http_date(START)}) == (START,)
    assert ServerTime.of(START, took=MINUTE) == ServerTime(START, START + 61 * SECOND)


def opened(base_url: str, clock: ManualClock, heard: list[ServerTime]) -> AbstractAsyncContextManager[OverviewApi]:
    return open_api(base_url, {KEY: "S3CR3TK3Y"}, concurrency=1, reuse=False, clock=clock.as_clock(), hear=heard.append)


@pytest.mark.parametrize("body", [b'{"Symbol": "IBM"}', b"{}"])
async def test_neither_an_overview_nor_that_there_is_none_is_taken_at_a_wrong_time(
    clock: ManualClock, body: bytes
) -> None:
    heard: list[ServerTime] = []
    say = says(body, "200 OK", f"Date: {http_date(START + DAY)}")
    async with hostile(say) as (_, base_url), opened(base_url, clock, heard) as api:
        with pytest.raises(WrongClock):
            await api.overview(Symbol("IBM"), key=KEY, within=5 * SECOND)

    assert [time.earliest for time in heard] == [START + DAY]


async def test_a_refusal_is_what_it_is_at_any_time(clock: ManualClock) -> None:
    body = b'{"Information": "Burst pattern detected. No more than 5 requests per second."}'
    say = says(body, "200 OK", f"Date: {http_date(START + DAY)}")
    async with hostile(say) as (_, base_url), opened(base_url, clock, []) as api:
        with pytest.raises(Throttled):
            await api.overview(Symbol("IBM"), key=KEY, within=5 * SECOND)

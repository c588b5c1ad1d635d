"""Plans and limits: how they are written, what retries may use of them, and how many workers they keep busy."""

import re

import pytest

from pipeline.quota.limits import PERIODS, PLANS, Limit, max_workers, retry_limits


@pytest.mark.parametrize("text", ["25/day", "75/minute", "1/second", "9/hour"])
def test_a_limit_is_written_as_it_is_read(text: str) -> None:
    assert str(Limit.parse(text)) == text
    assert Limit.parse(f" {text.replace('/', ' / ')} ") == Limit.parse(text)


@pytest.mark.parametrize("text", ["25/fortnight", "0/day", "-1/day", "x/day", "25", "1.5/second", "day/25", ""])
def test_an_invalid_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=rf"{re.escape(repr(text))}.*25/day"):
        Limit.parse(text)


def test_retries_have_a_fifth_of_the_day() -> None:
    assert [str(limit) for limit in retry_limits(PLANS["free"])] == ["5/day"]
    assert retry_limits(PLANS["premium-75"]) == []
    assert retry_limits([Limit(4, PERIODS["day"])]) == [Limit(0, PERIODS["day"])]


def test_there_are_as_many_workers_as_requests_may_be_out_at_once() -> None:
    assert max_workers(PLANS["free"]) == 1
    assert max_workers(PLANS["premium-75"]) == 5
    assert max_workers([Limit(120, PERIODS["minute"])]) == 120
    assert max_workers([Limit(5000, PERIODS["minute"])]) == 128
    assert max_workers(()) > 1

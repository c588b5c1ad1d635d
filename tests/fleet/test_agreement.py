from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import Undecodable
from pipeline.fleet.agreement import Agreement
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import PLANS
from pipeline.schedule.cron import Schedule

DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
EARLY = replace(DAILY, cron="0 6 * * *")
FREE, SECOND = ApiKey("", "first", PLANS["free"]), ApiKey("second", "2", PLANS["premium-75"])
AGREED = Agreement.of([FREE], [DAILY])


def test_an_agreement_is_written_the_same_whatever_the_order_and_read_back() -> None:
    one = Agreement.of([FREE, SECOND], [DAILY, EARLY])
    two = Agreement.of([replace(SECOND, limits=SECOND.limits[::-1]), FREE], [EARLY, DAILY], plans=[FREE.plan])

    assert one.to_text() == two.to_text()
    assert Agreement.from_text(one.to_text()) == one


@pytest.mark.parametrize(
    ("mine", "text"),
    [
        (
            Agreement.of([replace(FREE, limits=PLANS["premium-75"])], [DAILY]),
            "the limits of the key without a name are 5/second, 75/minute here, the fleet has 1/second, 25/day",
        ),
        (
            Agreement.of([], [DAILY], plans=[replace(FREE, limits=PLANS["premium-75"]).plan]),
            "the limits of the key without a name are 5/second, 75/minute here, the fleet has 1/second, 25/day",
        ),
        (
            Agreement.of([replace(FREE, secret="other")], [DAILY]),
            f"the key without a name has the fingerprint {ApiKey('', 'other', ()).id} here, the fleet's has {FREE.id}",
        ),
        (
            Agreement.of([replace(FREE, name="main")], [DAILY]),
            f"the key with the fingerprint {FREE.id} is the key main here, the fleet has it as the key without a name",
        ),
        (Agreement.of([FREE], [EARLY]), "the schedule 0 6 * * * UTC is here, the fleet has 30 18 * * * UTC"),
        (
            Agreement.of([FREE], [replace(DAILY, timezone="Europe/Berlin")]),
            "the schedule 30 18 * * * Europe/Berlin is here, the fleet has 30 18 * * * UTC",
        ),
        (Agreement.of([FREE], [DAILY, EARLY]), "the schedule 0 6 * * * UTC is here, the fleet has 30 18 * * * UTC"),
        (Agreement.of([FREE], []), "no schedule is here, the fleet has 30 18 * * * UTC"),
        (
            Agreement.of([FREE], [replace(DAILY, catch_up=timedelta(hours=1))]),
            "the schedule 30 18 * * * UTC has catch_up_hours 1 here, the fleet has 36",
        ),
    ],
)
def test_a_difference_names_what_is_here_and_what_the_fleet_has(mine: Agreement, text: str) -> None:
    difference = mine.difference(AGREED)

    assert difference is not None
    assert difference.text == text
    assert "pipeline fleet init" in difference.remedy


def test_members_may_hold_different_keys_and_own_lists_of_symbols() -> None:
    mine = Agreement.of([SECOND], [replace(DAILY, symbols=())])
    both = Agreement.of([FREE, SECOND], [DAILY])

    assert mine.difference(AGREED) is None
    assert mine.beside(AGREED) == both
    assert mine.in_place_of(AGREED) == mine
    assert both.addition_to(AGREED) is not None
    assert AGREED.addition_to(both) is None


def test_the_fingerprint_of_a_key_that_is_held_elsewhere_is_kept() -> None:
    mine = Agreement.of([], [DAILY], plans=[FREE.plan])

    assert mine.difference(AGREED) is None
    assert mine.in_place_of(AGREED) == mine.beside(AGREED) == AGREED


def test_what_is_no_agreement_is_refused() -> None:
    with pytest.raises(Undecodable):
        Agreement.from_text('{"limits": 1}')

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import Undecodable
from pipeline.fleet.agreement import Agreement
from pipeline.model.slots import KeyId
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PLANS
from pipeline.schedule.cron import Schedule

DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
K1, K2 = KeyId("k1"), KeyId("k2")
FREE = {K1: KeyPlan("", PLANS["free"])}
PREMIUM = KeyPlan("second", PLANS["premium-75"])


def test_an_agreement_is_written_the_same_whatever_the_order_and_read_back() -> None:
    other = replace(DAILY, cron="0 6 * * *")
    one = Agreement.of({**FREE, K2: PREMIUM}, [DAILY, other])
    two = Agreement.of({K2: KeyPlan("2", PREMIUM.limits[::-1]), K1: KeyPlan("", PLANS["free"][::-1])}, [other, DAILY])

    assert one.to_text() == two.to_text()
    assert Agreement.from_text(one.to_text()) == one


@pytest.mark.parametrize(
    ("mine", "named"),
    [
        (Agreement.of({K1: PREMIUM}, [DAILY]), "the limits of the key second are"),
        (Agreement.of({K1: KeyPlan("", PREMIUM.limits)}, [DAILY]), "the key with the fingerprint k1 are"),
        (Agreement.of(FREE, [DAILY, replace(DAILY, cron="0 6 * * *")]), "0 6"),
        (Agreement.of(FREE, []), "30 18"),
        (Agreement.of(FREE, [replace(DAILY, catch_up=timedelta(hours=1))]), "catch_up_hours 1 here, and 36 there"),
        (Agreement.of(FREE, [replace(DAILY, timezone="Europe/Berlin")]), "Europe/Berlin"),
    ],
)
def test_a_difference_is_named_in_one_line(mine: Agreement, named: str) -> None:
    difference = mine.difference(Agreement.of(FREE, [DAILY]))

    assert difference is not None
    assert named in difference
    assert "\n" not in difference


def test_members_may_hold_different_keys_and_own_lists_of_symbols() -> None:
    agreed = Agreement.of(FREE, [DAILY])
    mine = Agreement.of({K2: PREMIUM}, [replace(DAILY, symbols=())])

    assert mine.difference(agreed) is None
    assert mine.with_keys_of(agreed) == Agreement.of({**FREE, K2: PREMIUM}, [DAILY])


def test_what_is_no_agreement_is_refused() -> None:
    with pytest.raises(Undecodable):
        Agreement.from_text('{"limits": 1}')

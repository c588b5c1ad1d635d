"""Keys: a fingerprint that tells them apart, what all allow together, and their limits in a line."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.quota.keys import ApiKey, KeyPlan, fingerprint, most_workers, plans_text
from pipeline.quota.limits import MAX_WORKERS, PLANS, UNLIMITED_WORKERS

MAIN = ApiKey("main", "S3CR3TK3YOFOURS1", PLANS["free"])
SECOND = ApiKey("second", "S3CR3TK3YOFOURS2", PLANS["premium-75"])


@given(one=st.text(), other=st.text())
def test_a_fingerprint_tells_keys_apart_and_has_nothing_of_them(one: str, other: str) -> None:
    assert (fingerprint(one) == fingerprint(other)) is (one == other)
    assert len(fingerprint(one)) == 16
    assert int(fingerprint(one), 16) >= 0


def test_a_key_is_not_shown_by_its_repr() -> None:
    assert MAIN.secret not in repr(MAIN)


def test_all_keys_together_have_as_many_workers_as_their_limits_allow_at_once() -> None:
    assert most_workers([MAIN]) == 1
    assert most_workers([MAIN, SECOND]) == 6
    assert most_workers([ApiKey("", "x", ())]) == UNLIMITED_WORKERS
    assert most_workers([ApiKey("", "x", PLANS["premium-1200"])] * 9) == MAX_WORKERS


def test_limits_in_a_line_name_keys_where_there_are_several() -> None:
    assert plans_text([KeyPlan("", PLANS["free"])]) == "25/day, 1/second"
    assert plans_text([KeyPlan("", ())]) == "no limits"
    assert plans_text([MAIN.plan, KeyPlan("b", ())]) == "main 25/day, 1/second; b without limits"

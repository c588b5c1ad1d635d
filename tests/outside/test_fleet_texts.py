"""What a fleet's PostgreSQL holds is outside text: another version of the program, or a person, may have written it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Undecodable
from pipeline.store.log_place import Followed
from tests.support.bad_bytes import bad_bytes
from tests.support.clocks import START

pytest.importorskip("psycopg", reason="the extra `fleet` is not installed")
from pipeline.fleet.agreement import Agreement
from pipeline.fleet.entries import LogError, Row, decode
from pipeline.fleet.follow import chunk_of

BODIES = {
    "answer": '{"Symbol": "IBM", "Description": "x", "EPS": "1.5"}',
    "uncovered": "not covered",
    "outcome": '{"outcome": "failed", "detail": "HTTP 503"}',
    "run": '{"trigger": "schedule", "status": "complete", "schedule": "30 18 * * * UTC", "scheduled_for": null,'
    ' "started_at": "2026-03-14T18:30:00.000Z", "finished_at": null, "symbols": 3, "due": 3, "stored": 1,'
    ' "unchanged": 1, "unknown": 1, "failed": 0, "rejected": 0, "deferred": 0, "requests": 3, "seconds": 1.5,'
    ' "detail": null, "uncovered": 0}',
    "schedules": '{"30 18 * * * UTC": "2026-03-14T18:30:00.000Z"}',
    "symbols": '{"symbols": ["AAPL", "IBM"], "intervals": null}',
}
AGREED = '{"keys":{"k1":{"id":"9cdf","limits":["1/second","25/day"]}},"schedules":{"30 18 * * * UTC":36.0}}'


def texts(sample: str) -> st.SearchStrategy[str]:
    """Return bad texts that PostgreSQL can hold: UTF-8 without NUL."""
    return bad_bytes(sample.encode()).map(lambda text: text.decode(errors="replace").replace("\0", ""))


def row(kind: str, body: str) -> Row:
    return (7, kind, START, "IBM", 1, 1, True, body)


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_each_kind_of_entry_can_be_read(kind: str) -> None:
    decode(row(kind, BODIES[kind]))


@settings(max_examples=300)
@given(kind=st.sampled_from(sorted(BODIES)), data=st.data())
def test_an_entry_of_the_log_can_be_followed_or_is_named(kind: str, data: st.DataObject) -> None:
    body = data.draw(texts(BODIES[kind]))
    try:
        chunk_of([row(kind, body)], Followed("a fleet", 1, 6))
    except LogError as error:
        refusal = str(error)
    else:
        return
    assert refusal.startswith("entry 7 of the fleet's log")
    assert refusal.isprintable()


@settings(max_examples=100)
@given(text=texts(AGREED))
def test_an_agreement_can_be_compared_or_is_undecodable(text: str) -> None:
    ours = Agreement.from_text(AGREED)
    try:
        theirs = Agreement.from_text(text)
    except Undecodable:
        return
    ours.difference(theirs)
    ours.addition_to(theirs)
    ours.beside(theirs).to_text()

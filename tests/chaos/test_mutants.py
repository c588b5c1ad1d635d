"""What members send is within the limits, what they append is in the log: and mistakes in either would be found.

The ledger and the log here are PostgreSQL's; the members are only as much as uses its functions.
"""

import psycopg
import pytest

from tests.chaos.counting import over
from tests.chaos.mutants import IN_THE_LEDGER, Mutant, seq_of_a_sequence, timeline_unchecked
from tests.chaos.sql_members import LIMITS, Appenders, Senders, declare

pytestmark = pytest.mark.slow
_SECONDS = 2.0
_ROUNDS = 6
"""After which a mistake has been seen in any case; most are in the first."""


def _most_over(arrivals: list[int]) -> int:
    return max(over(sorted(arrivals), limit) for limit in LIMITS)


def _is_seen(senders: Senders) -> bool:
    """Let members send until a limit is exceeded, and return whether one was."""
    for _ in range(_ROUNDS):
        senders.run(_SECONDS)
        if _most_over(senders.arrivals):
            return True
    return False


def test_members_that_are_late_and_die_send_no_more_than_the_limits_admit(fleet_url: str) -> None:
    declare(fleet_url)
    senders = Senders(fleet_url)

    senders.run(2 * _SECONDS)

    assert _most_over(senders.arrivals) == 0
    assert len(senders.arrivals) > LIMITS[1].count, "they hardly sent anything: this shows nothing"


@pytest.mark.parametrize("mutant", IN_THE_LEDGER, ids=lambda one: one.__name__)
def test_a_mistake_in_the_ledger_is_seen_by_the_server(fleet_url: str, mutant: Mutant) -> None:
    declare(fleet_url)
    _make(mutant, fleet_url)

    assert _is_seen(Senders(fleet_url))


@pytest.mark.parametrize("mutant", [None, timeline_unchecked], ids=["as it is", "timeline_unchecked"])
def test_a_standby_that_lost_slots_grants_none_until_all_windows_have_passed(
    fleet_url: str, mutant: Mutant | None
) -> None:
    declare(fleet_url)
    if mutant is not None:
        _make(mutant, fleet_url)
    senders = Senders(fleet_url)
    senders.spend_all()
    assert len(senders.arrivals) == LIMITS[0].count

    with psycopg.connect(fleet_url, autocommit=True) as db:
        db.execute("DELETE FROM fleet.slots")
        db.execute("CREATE OR REPLACE FUNCTION fleet.timeline() RETURNS int LANGUAGE sql AS 'SELECT 77'")
    senders.run(_SECONDS)

    assert (_most_over(senders.arrivals) > 0) == (mutant is not None)
    assert len(senders.arrivals) > LIMITS[0].count, "nothing was granted ever again"


@pytest.mark.parametrize("mutant", [None, seq_of_a_sequence], ids=["as it is", "seq_of_a_sequence"])
def test_a_follower_misses_nothing_that_is_appended_while_it_reads(fleet_url: str, mutant: Mutant | None) -> None:
    if mutant is not None:
        _make(mutant, fleet_url)
    appenders = Appenders(fleet_url)
    appenders.run(_SECONDS)

    assert len(appenders.followed) > 100
    assert (appenders.missed() > 0) == (mutant is not None)
    with psycopg.connect(fleet_url) as db:
        row = db.execute(
            "SELECT count(*) = max(seq) AND max(seq) = (SELECT seq FROM fleet.log_head) FROM fleet.log"
        ).fetchone()
    assert row == (mutant is None,)


def _make(mutant: Mutant, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        mutant(db)

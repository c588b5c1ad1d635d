"""A standby takes over that has not heard of the last slots and answers."""

from pathlib import Path

import pytest

from pipeline.quota.limits import Limit
from tests.chaos import checks
from tests.chaos.counting import requests_in
from tests.chaos.fleet import Fleet, fleet

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(400)]

_LIMITS = ("60/minute", "12/second")
_SYMBOLS = [f"C{number:05d}" for number in range(60)]
"""As many as the minute admits."""


def test_a_standby_that_lost_slots_waits_for_all_windows_and_followers_read_again(tmp_path: Path) -> None:
    with fleet(tmp_path, _LIMITS, _SYMBOLS, has_standby=True, crons=["0 * * * *"]) as under_test:
        for number in range(3):
            under_test.add(f"m{number}", ["one"]).start()
        under_test.wait_for("count(*) > 5 FROM fleet.outcomes")
        standby = under_test.standby
        assert standby is not None
        standby.lose_primary()
        under_test.wait_for("count(*) > 50 FROM fleet.outcomes")

        under_test.server.crash()
        standby.promote()
        under_test.server = standby
        lost = len(_SYMBOLS) - int(under_test.value("SELECT count(*) FROM fleet.outcomes"))
        under_test.settle(200)

        assert lost > 5, "the standby had heard of nearly everything: this shows nothing"
        assert _broken(under_test) == []
        assert under_test.value("SELECT count(*) FROM fleet.timelines") == 2


def _broken(fleet: Fleet) -> list[checks.Finding]:
    undisturbed = fleet.catch_up()
    seen = requests_in(fleet.api_log)
    with fleet.connected() as db:
        found = [
            *checks.of_the_limits(seen, [Limit.parse(limit) for limit in _LIMITS]),
            *checks.of_the_log(db),
            *checks.of_the_runs(db),
            *checks.of_the_files(db, fleet.machines, undisturbed, after_failover=True),
            *checks.of_the_logs(fleet.machines),
        ]
    assert len(seen) > len(_SYMBOLS)
    return [one for one in found if one.is_broken]

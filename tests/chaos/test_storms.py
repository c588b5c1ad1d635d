"""A short storm, and what the fleet promised afterwards. The long one is `make chaos`."""

import random
from pathlib import Path

import pytest

from tests.chaos.checks import Finding
from tests.chaos.fleet import KEYS, Fleet, fleet
from tests.chaos.storm import Storm

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(400)]

LIMITS = ("600/minute", "15/second")
SYMBOLS = [*(f"C{number:05d}" for number in range(250)), "NONE1", "NONE2"]
_SETTLES_WITHIN = 200.0


def broken(fleet: Fleet) -> list[Finding]:
    """Let a fleet settle, and return what of its promises is broken."""
    fleet.settle(_SETTLES_WITHIN)
    return [one for one in fleet.findings() if one.is_broken]


def test_members_are_killed_and_postgresql_crashes(tmp_path: Path) -> None:
    with fleet(tmp_path, LIMITS, SYMBOLS) as under_test:
        for number in range(4):
            under_test.add(f"m{number}", [list(KEYS)[number % 2]]).start()
        under_test.wait_for("count(*) > 20 FROM fleet.outcomes")

        Storm(under_test, random.Random(1), every=2, crashes=1).rage(15)

        assert broken(under_test) == []

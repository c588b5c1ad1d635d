"""A short storm over three hosts with wrong clocks, and who fired last is dead at the next fire time."""

import random
from pathlib import Path

import pytest

from tests.chaos.fleet import KEYS, Fleet, fleet
from tests.chaos.machines import Machine
from tests.chaos.network import clock_of, network
from tests.chaos.storm import Storm
from tests.chaos.test_storms import LIMITS, SYMBOLS, broken

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(400)]


def test_hosts_with_wrong_clocks_are_cut_off_and_who_fired_last_is_dead_at_the_next_fire_time(tmp_path: Path) -> None:
    with network() as net, fleet(tmp_path, LIMITS, SYMBOLS, network=net) as under_test:
        for number in range(3):
            keys = [list(KEYS)[number % 2]]
            under_test.add(f"host{number}", keys, before=net.add_host(), environment=clock_of(number)).start()
        under_test.wait_for("count(*) > 20 FROM fleet.outcomes")

        Storm(under_test, random.Random(1), every=1, crashes=0, network=net).rage(15)
        dead = _who_fired_last(under_test)
        dead.kill()
        under_test.wait_for(f"member <> '{dead.name}' FROM fleet.runs ORDER BY id DESC LIMIT 1", 90)
        dead.start()

        assert broken(under_test) == []


def _who_fired_last(fleet: Fleet) -> Machine:
    name = fleet.value("SELECT member FROM fleet.runs ORDER BY id DESC LIMIT 1")
    return next(machine for machine in fleet.machines if machine.name == name)

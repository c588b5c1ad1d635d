"""The simulation of `docs/fleet.md`, with few symbols: each is collected once a day by one member, and followed."""

import pytest

from benchmarks import million


@pytest.mark.process
@pytest.mark.slow
def test_every_symbol_is_answered_once_a_day_and_followed() -> None:
    lines = million.measure(count=300)

    assert [line for line in lines if line.is_broken] == []
    if len(lines) == 1:
        pytest.skip(lines[0].made_of)

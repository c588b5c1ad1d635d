"""What PostgreSQL knows of symbols, from which members decide what is due, is what a follower's record knows."""

import asyncio
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import instants
from pipeline.fleet.pool import open_pool
from pipeline.model.outcomes import Outcome
from pipeline.store.reader import Reader
from tests.support.fleet_log import answer, append, ended, follow, reserved, rows

KNOWN = "SELECT last_look, last_overview, last_try, next_try FROM fleet.symbols WHERE symbol = %s"
_numbers = count()

observations = st.lists(
    st.tuples(st.sampled_from(["answered", "unknown", "unknown", "unknown", "failed"]), st.integers(1, 200)),
    min_size=1,
    max_size=12,
)
"""What came of each request for a symbol, and how many hours after the one before."""


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(observations)
def test_the_fleet_knows_of_a_symbol_what_a_record_does(
    fleet_url: str, database: Path, found: list[tuple[str, int]]
) -> None:
    symbol, hours = f"S{next(_numbers)}", 0

    async def observe() -> None:
        nonlocal hours
        async with open_pool(fleet_url, size=1) as pool:
            for run, (what, later) in enumerate(found):
                hours += later
                number = await reserved(pool, symbol)
                match what:
                    case "answered":
                        await append(pool, answer(number, hours, {"Symbol": symbol}, symbol=symbol, run=run))
                    case "unknown":
                        await append(pool, ended(Outcome.UNKNOWN, hours, symbol=symbol, run=run, number=number))
                    case "failed":
                        await append(pool, ended(Outcome.FAILED, hours, symbol=symbol, run=run, number=number))
            await follow(database, pool)

    asyncio.run(observe())

    with Reader.open(database) as reader:
        state = reader.symbol_states()[symbol]
    expected = [state.last_look, state.last_overview, state.last_try, state.next_try]
    assert [_text(at) for at in rows(fleet_url, KNOWN, symbol)[0]] == expected


def _text(at: datetime | None) -> Any:
    return None if at is None else instants.to_text(at)

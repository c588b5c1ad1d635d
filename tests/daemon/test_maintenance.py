"""Maintenance: what is too old is deleted, and the write-ahead log is emptied."""

from datetime import timedelta
from pathlib import Path

from tests.support.daemons import FIRST, DaemonClock, DaemonHarness, rows
from tests.support.sandbox import Served

DAY = timedelta(days=1)


async def test_old_outcomes_and_slots_are_pruned_once_a_day_and_snapshots_never(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("25/day",), outcomes_kept=3 * DAY)
    async with harness.running():
        for day in range(1, 8):
            await harness.until(FIRST + day * DAY)
            await harness.beat(2)

    runs_kept = {run for (run,) in rows(database, "SELECT DISTINCT run_id FROM outcomes")}
    assert runs_kept == set(range(5, 9))
    assert rows(database, "SELECT count(*) FROM requests") == [(9,)]
    assert (
        rows(database, "SELECT count(*) FROM looks")[0][0] + rows(database, "SELECT count(*) FROM snapshots")[0][0]
        == 24
    )
    assert (
        not database.with_name("overviews.db-wal").exists() or not database.with_name("overviews.db-wal").stat().st_size
    )

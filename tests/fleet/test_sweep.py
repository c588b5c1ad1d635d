from datetime import timedelta

from pipeline.fleet.pool import Pool, fetch
from pipeline.fleet.sweep import prune
from tests.support.fleets import tables

DAY = timedelta(days=1)


async def test_outcomes_are_kept_as_long_as_configured(pool: Pool, fleet_url: str) -> None:
    with tables(fleet_url) as fleet:
        for days in (500, 401, 399, 1):
            run = fleet.run(status="complete", started=days * DAY)
            fleet.db.execute("UPDATE fleet.runs SET finished_at = started_at WHERE id = %s", [run])
            fleet.outcome(run, "AAPL", days * DAY)

    await prune(pool, outcomes_kept=400 * DAY)

    assert await fetch(pool, "SELECT count(*), min(run_id) FROM fleet.outcomes") == [(2, 3)]
    await prune(pool, outcomes_kept=timedelta())
    assert await fetch(pool, "SELECT count(*) FROM fleet.outcomes") == [(0,)]

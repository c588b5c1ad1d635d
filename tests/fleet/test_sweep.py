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


async def test_a_task_that_was_taken_by_a_clock_that_was_ahead_is_free(pool: Pool) -> None:
    await fetch(pool, "INSERT INTO fleet.leases VALUES ('sweep', 'dead', clock_timestamp() + interval '400 days')")
    assert await fetch(pool, "SELECT fleet.lease('sweep', 'alpha', '30 seconds')") == [(True,)]
    assert await fetch(pool, "SELECT fleet.lease('sweep', 'beta', '30 seconds')") == [(False,)]

"""A run whose lock file somebody removes ends, and requests nothing more: another process may collect by now."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.model.outcomes import RunStatus
from pipeline.sandbox.server import SandboxApi
from pipeline.store.lock import hold_lock, lock_path
from tests.support.clocks import START, ManualClock
from tests.support.companies import COMPANIES
from tests.support.runs import Runs, ended, limits
from tests.support.sandbox import Served


@pytest.mark.parametrize("plan", [("1000/minute",), ()], ids=["within limits", "without limits"])
async def test_a_run_whose_lock_is_removed_ends_in_one_line(
    database: Path, clock: ManualClock, plan: tuple[str, ...]
) -> None:
    async def remove(_seconds: float) -> None:
        if api.requests == 2:
            lock_path(database).unlink()

    api = SandboxApi(
        companies=COMPANIES,
        limits=(),
        day=START.date,
        latency=timedelta(seconds=1),
        wall=lambda: clock.wall,
        sleep=remove,
    )
    async with api.serve() as base_url:
        runs = Runs(database, Served(api, base_url), clock)
        async with hold_lock(
            database,
            "collect",
            max_wait=None,
            now=lambda: clock.wall,
            sleep=clock.sleep,
            on_wait=lambda _line: None,
        ):
            summary = await runs.collect(30, limits=limits(*plan))

    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert "overviews.db.lock was removed or replaced" in (summary.detail or "")
    assert api.requests < 15
    if plan:
        assert api.requests == 2

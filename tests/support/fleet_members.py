"""Members of a fleet that live in the test's process, each with a file of its own, in PostgreSQL's time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.order import Source
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.member import Member
from pipeline.errors import Trouble
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Scope
from pipeline.schedule.cron import Schedule
from pipeline.store.record import Begin
from tests.support.daemons import NO_RENAMES
from tests.support.fleet_work import DAILY, SYMBOLS

PATIENCE = 60.0
"""Seconds in which anything happens that a test awaits, however busy the machine is."""


def quick(patch: pytest.MonkeyPatch) -> None:
    """Let members look for jobs, log entries and each other often: a test waits for what they find."""
    soon = timedelta(seconds=0.05)
    patch.setattr("pipeline.fleet.jobs.POLL", soon)
    patch.setattr("pipeline.fleet.jobs._PAUSE", soon)
    patch.setattr("pipeline.fleet.pool._CONNECTION_WITHIN", timedelta(seconds=0.5))
    patch.setattr("pipeline.fleet.follow.POLL", soon)
    patch.setattr("pipeline.fleet.follow.PAUSE", soon)
    patch.setattr("pipeline.daemon.session.BEAT_EVERY", soon)
    patch.setattr("pipeline.fleet.members._SILENT_FOR", timedelta(seconds=0.5))
    patch.setattr("pipeline.daemon.member._AGAIN", soon)
    patch.setattr("pipeline.daemon.member_file._AGAIN", soon)


def config(
    source: Source, *, symbols: tuple[Symbol, ...] = SYMBOLS, schedules: tuple[Schedule, ...] = (DAILY,)
) -> DaemonConfig:
    hours, listed = timedelta(hours=20), SymbolList("", symbols)
    scope = Scope(symbols, (), timedelta(hours=72), timedelta(days=14))
    return DaemonConfig(source, symbols, schedules, True, timedelta(days=400), hours, listed, NO_RENAMES, None, scope)


@dataclass
class Machine:
    """A member that lives."""

    member: Member
    database: Path
    config: DaemonConfig
    """What it reads when it is told to reload."""
    task: "asyncio.Task[None]"
    reporter: Reporter

    @property
    def is_following(self) -> bool:
        """Whether its file is there, and follows."""
        following = self.member._following
        return following is not None and following.is_ready.is_set()


@asynccontextmanager
async def machine(
    folder: Path,
    url: str,
    name: str,
    config: DaemonConfig,
    *,
    error: type[Trouble] | None = None,
    ping: str | None = None,
) -> AsyncIterator[Machine]:
    """Let a member live while the block runs, and end in order. Raise what it died of, but for the `error` expected."""
    database = folder / name / "overviews.db"
    database.parent.mkdir(exist_ok=True)
    reporter = Reporter(
        database,
        config.scope,
        metrics=Metrics(),
        notifier=Notifier((), Sender(name, database)),
        ping=Ping(ping),
    )
    member = Member(
        database,
        config,
        url=url,
        name=name,
        reload_config=lambda: one.config,
        reporter=reporter,
        begin=Begin.UNMARKED,
    )
    one = Machine(member, database, config, asyncio.create_task(member.run(), name=f"member {name}"), reporter)
    try:
        yield one
    finally:
        member.stop()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({one.task})
        await reporter.close()
    with nullcontext() if error is None else pytest.raises(error):
        await one.task


async def until(is_so: Callable[[], Awaitable[object]], *machines: Machine) -> None:
    """Return once something is so. Fail if that takes too long; raise what a machine died of."""
    async with asyncio.timeout(PATIENCE):
        while not await is_so():
            for one in machines:
                if one.task.done():
                    await one.task
            await asyncio.sleep(0.02)

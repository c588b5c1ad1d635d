"""Missed fire times: records those that it is too late to run, each with the reason."""

from collections.abc import Iterator
from datetime import datetime

import structlog

from pipeline.daemon.blockers import Blockers
from pipeline.monitoring.reporter import Reporter
from pipeline.schedule.cron import PastFireTimes
from pipeline.store.schedules import record_missed
from pipeline.store.writer import Writer


async def record_missed_times(writer: Writer, past: PastFireTimes, *, blockers: Blockers, reporter: Reporter) -> None:
    """Record the missed fire times of a schedule, and report how many there are and why the last one was missed."""
    last = ""

    def with_reasons() -> Iterator[tuple[datetime, str]]:
        nonlocal last
        for at in past.missed:
            last = blockers.reason_at(at)
            yield at, last

    schedule = str(past.schedule)
    count = await record_missed(writer, schedule, with_reasons(), now=past.now)
    structlog.get_logger().warning("fire times missed", schedule=schedule, count=count, reason=last)
    reporter.fire_times_missed(schedule, count, past.now, last)

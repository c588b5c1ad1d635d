"""Health: what is wrong with the daemon and its record, in words."""

from datetime import datetime, timedelta

from pipeline import instants
from pipeline.model.outcomes import RunStatus
from pipeline.monitoring.heartbeat import ANSWERS_WITHIN, Heartbeat
from pipeline.monitoring.status import Status
from pipeline.text import few


def problems(
    beat: Heartbeat | None, found: Status | None, *, lives: bool, stale_after: timedelta, now: datetime
) -> list[str]:
    """Return a line for each thing that is wrong, none if all is well. `lives`: whether the daemon is there at all.

    Nothing is kept yet (`found` is None) where the daemon has only just begun: that alone is not wrong.
    """
    return [*_of_the_daemon(beat, now, lives=lives), *(_of_the_record(found, stale_after) if found else ())]


def _of_the_daemon(beat: Heartbeat | None, now: datetime, *, lives: bool) -> list[str]:
    if beat is None:
        return ["no daemon runs on this database: pipeline run"]
    if not lives:
        return [f"the daemon has died: process {beat.pid} was last heard of at {instants.for_people(beat.at)} UTC"]
    if not beat.is_fresh(now):
        return [f"the daemon has not been heard of since {instants.for_people(beat.at)} UTC"]
    if beat.silent_seconds > ANSWERS_WITHIN.total_seconds():
        return [f"the store has not answered for {beat.silent_seconds:.0f} s"]
    return []


def _of_the_record(found: Status, stale_after: timedelta) -> list[str]:
    lines = []
    run = found.last_run
    if run is not None and run.status == RunStatus.FAILED:
        lines.append(f"run {run.id} failed" + (f": {run.detail}" if run.detail else ""))
    if found.stale:
        hours = stale_after.total_seconds() / 3600
        lines.append(f"not looked at for {hours:g} h: {few(found.stale)}")
    return lines

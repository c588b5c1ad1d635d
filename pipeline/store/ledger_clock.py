"""The ledger's clock: writes the mark that its time has reached, and corrects what a wrong clock has dated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.slots import Block, LedgerMark


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be corrected as a process begins, and the mark from then on."""

    mark: LedgerMark
    latest: datetime | None = None
    """On the time line as it was: what is dated later becomes as old as this; None: it stays."""
    shift: timedelta = timedelta()
    since: datetime | None = None
    """What is dated since then moves by `shift`."""


async def set_mark(db: Connection, marks: Sequence[LedgerMark]) -> Sequence[None]:
    """Write what the ledger's time has reached."""
    for mark in marks:
        boot, uptime = (None, None) if mark.uptime is None else (mark.uptime.boot, mark.uptime.span.total_seconds())
        await db.execute(
            "INSERT INTO clock (id, at, boot, uptime) VALUES (1, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET at = excluded.at, boot = excluded.boot, uptime = excluded.uptime",
            (instants.to_text(mark.at), boot, uptime),
        )
    return [None] * len(marks)


async def correct(db: Connection, corrections: Sequence[Correction]) -> Sequence[None]:
    """Write corrections, and the mark."""
    for one in corrections:
        if one.latest is not None:
            # Rounded up to the next millisecond, as where slots are closed: a window never frees too early.
            latest = instants.to_text(one.latest + instants.MILLISECOND)
            await db.execute(
                "UPDATE requests SET reserved_at = min(reserved_at, :latest), deadline_at = min(deadline_at, :latest),"
                " finished_at = min(finished_at, :latest) WHERE coalesce(finished_at, deadline_at) > :latest",
                {"latest": latest},
            )
            await _pull_back_blocks(db, latest)
        if one.since is not None and one.shift:
            await _move(db, one.shift, one.since)
        await set_mark(db, [one.mark])
    return [None] * len(corrections)


async def _pull_back_blocks(db: Connection, latest: str) -> None:
    """Let blocks from a clock that was ahead begin now, and last no longer than they may."""
    for key, since, until, reason in await db.execute_fetchall("SELECT key, since, until, reason FROM blocked"):
        longest = Block(instants.from_text(since), instants.from_text(until), reason).longest
        await db.execute(
            "UPDATE blocked SET since = min(since, ?), until = min(until, ?) WHERE key = ?",
            (latest, instants.to_text(instants.from_text(latest) + longest), key),
        )


async def _move(db: Connection, by: timedelta, since: datetime) -> None:
    # Text that SQLite cannot move, as it would leave the years that it knows, stays.
    values = {"by": f"{by.total_seconds():+.3f} seconds", "since": instants.to_text(since)}
    await db.execute(
        f"""
        UPDATE requests SET {_moved("reserved_at")}, {_moved("deadline_at")}, {_moved("finished_at")}
         WHERE coalesce(finished_at, deadline_at) >= :since
        """,
        values,
    )
    await db.execute(f"UPDATE blocked SET {_moved('since')}, {_moved('until')} WHERE since >= :since", values)


def _moved(column: str) -> str:
    return f"{column} = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', {column}, :by), {column})"

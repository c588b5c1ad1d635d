"""Slot dates: writes the mark that its time has reached, and corrects what a wrong clock has dated."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.slots import Block, LedgerMark

_FORMAT = "'%Y-%m-%dT%H:%M:%fZ'"
_LASTS = "max(0, min((julianday(deadline_at) - julianday(reserved_at)) * 86400, 3600))"
"""Seconds that a request may last: more than an hour cannot be configured."""
_LAST = f"""
    iif(finished_at IS NULL, coalesce(strftime({_FORMAT}, :latest, printf('%.3f seconds', {_LASTS})), :latest), :latest)
"""
"""The latest deadline: a request that was out when its process was killed may be under way still."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be corrected as a process begins, and the mark from then on."""

    mark: LedgerMark
    latest: datetime | None = None
    """On the time line as it was: what is dated later becomes as old as this; None: nothing is corrected."""
    shift: timedelta = timedelta()
    """By how much all that is corrected moves then."""
    since: datetime | None = None
    """What is dated earlier stays; None: all is corrected."""


async def set_mark(db: Connection, marks: Sequence[LedgerMark]) -> Sequence[None]:
    """Write what the ledger's time has reached."""
    for mark in marks:
        boot, uptime = (None, None) if mark.uptime is None else (mark.uptime.boot, mark.uptime.span.total_seconds())
        await db.execute(
            "INSERT OR REPLACE INTO clock (id, at, boot, uptime, confirmed_at) VALUES (1, ?, ?, ?, ?)",
            (instants.to_text(mark.at), boot, uptime, mark.confirmed_at and instants.to_text(mark.confirmed_at)),
        )
    return [None] * len(marks)


async def correct(db: Connection, corrections: Sequence[Correction]) -> Sequence[None]:
    """Write corrections, and the mark."""
    for one in corrections:
        if one.latest is not None:
            # Rounded up to the next millisecond, as where slots are closed: a window never frees too early.
            latest = instants.to_text(one.latest + instants.MILLISECOND)
            since = "" if one.since is None else instants.to_text(one.since)
            await _correct_requests(db, latest, one.shift, since)
            await _correct_blocks(db, latest, one.shift, since)
        await set_mark(db, [one.mark])
    return [None] * len(corrections)


async def _correct_requests(db: Connection, latest: str, by: timedelta, since: str) -> None:
    """Date what is dated since an instant no later than `latest`, and then move it."""
    await db.execute(
        f"""
        UPDATE requests SET {_corrected("reserved_at")}, {_corrected("deadline_at", _LAST)}, {_corrected("finished_at")}
         WHERE coalesce(finished_at, deadline_at) >= :since
           AND (coalesce(finished_at, deadline_at) > :latest OR :moves)
        """,
        {"latest": latest, "by": f"{by.total_seconds():+.3f} seconds", "since": since, "moves": bool(by)},
    )


def _corrected(column: str, last: str = ":latest") -> str:
    # Text that SQLite cannot move, as it would leave the years that it knows, stays.
    least = f"min({column}, {last})"
    return f"{column} = coalesce(strftime({_FORMAT}, {least}, :by), {least})"


async def _correct_blocks(db: Connection, latest: str, by: timedelta, since: str) -> None:
    """Do the same for blocks; one from a clock that was ahead lasts no longer than it may."""
    for key, start, end, reason in await db.execute_fetchall(
        "SELECT key, since, until, reason FROM blocked WHERE since >= ?", (since,)
    ):
        longest = Block(instants.from_text(start), instants.from_text(end), reason).longest
        begins = instants.from_text(min(start, latest))
        ends = min(instants.from_text(end), instants.from_text(latest) + longest)
        with suppress(OverflowError):  # then it stays
            begins, ends = begins + by, ends + by
        await db.execute(
            "UPDATE blocked SET since = ?, until = ? WHERE key = ?",
            (instants.to_text(begins), instants.to_text(ends), key),
        )

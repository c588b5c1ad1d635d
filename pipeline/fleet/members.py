"""Members: how this process joins its fleet, gives signs of life, takes tasks that one does for all, and leaves.

All instants are PostgreSQL's. What a member's own clock shows is only compared with it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from pipeline import __version__
from pipeline.clock import Clock
from pipeline.errors import ExitCode, Trouble, Undecodable
from pipeline.fleet.agreement import Agreement, Difference, Disagreement
from pipeline.fleet.connection import FleetError
from pipeline.fleet.entries import list_digest
from pipeline.fleet.install import check_pool
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.symbols import Symbol

BEAT_EVERY = timedelta(seconds=5)
LEASE = timedelta(seconds=30)
"""How long a task stays with a member that gives no more signs of life."""
MEMBER, FOLLOWER, COLLECTOR = "member", "follower", "collector"
"""Roles: a member does batches and fires; a follower requests nothing; a collector is there for one run of its own."""
_SILENT_FOR = 2 * BEAT_EVERY + timedelta(seconds=2)
"""A process of the same name that lives gives a sign of life within this time."""


_LEAVES_WITHIN = timedelta(seconds=2)


class NameTaken(Trouble):
    """Another process is the member of this name."""

    exit_code = ExitCode.BUSY


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a process joins with."""

    name: str
    role: str
    """MEMBER, FOLLOWER or COLLECTOR."""
    keys: tuple[str, ...] = ()
    """Fingerprints."""
    agreement: Agreement | None = None
    """None: it is of no concern, as nothing is requested."""
    symbols: Sequence[Symbol] | None = None
    """Those that are configured here."""


class Membership:
    """This process in the fleet. All of it raises FleetError while PostgreSQL does not answer."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self.instance: UUID = uuid4()
        self.clock_ahead = timedelta()
        """By how much the wall clock here is ahead of PostgreSQL's, as last measured."""
        self.others_with_other_symbols: Sequence[str] = ()
        """The members that listed other symbols when that was last looked up: it is logged when it changes."""
        self.disagrees = False
        """Whether this process leaves because something else has been agreed about: restarted, it replaces nothing."""
        self._pool = pool
        self._clock = clock
        self._name: str | None = None
        self._has_begun = False
        self._agreed_at: datetime | None = None

    @property
    def is_joined(self) -> bool:
        """Whether this process is one of the fleet."""
        return self._name is not None

    @property
    def agreed_at(self) -> datetime | None:
        """When that was agreed about with which this process joined last."""
        return self._agreed_at

    async def join(self, candidate: Candidate) -> None:
        """Join; or change what this process is configured with, if it has joined before.

        Where something else is agreed about, a member that has begun with this joins nevertheless if no other member
        lives: then that is replaced. Raise Disagreement if one does, for other roles, or if this process has joined
        before; FleetRefused for a fleet of another version; NameTaken if another process of the name lives: whether it
        does may take 12 s to see. Then nothing has changed.
        """
        await check_pool(self._pool)
        beat_seen: datetime | None = None
        while True:
            await self.measure_clock()
            verdict, beat, difference = await self._propose(candidate, beat_seen)
            if verdict == "others" and difference is not None:
                raise Disagreement(difference.text, remedy=difference.remedy)
            match verdict:
                case "joined":
                    self._name = candidate.name
                    self._has_begun = True
                    return
                case "changed":
                    continue
            if beat_seen is not None:
                raise NameTaken(
                    f"another process is the fleet's member {candidate.name}",
                    remedy="stop it, or give this one another name: fleet.name in the configuration",
                )
            structlog.get_logger().info("waiting whether another process has this name", name=candidate.name)
            beat_seen = beat
            await self._clock.sleep(_SILENT_FOR.total_seconds())

    async def _propose(
        self, candidate: Candidate, beat_seen: datetime | None
    ) -> tuple[str, datetime | None, Difference | None]:
        """Ask to join. Return the verdict, the last sign of life of a process with the name, and the difference."""
        agreed = await fetch(self._pool, "SELECT settings FROM fleet.agreed")
        expected: str | None = agreed[0][0] if agreed else None
        settings, difference = proposal(candidate.agreement, expected, may_add=not self._has_begun)
        if difference is not None and (self._has_begun or candidate.role != MEMBER):
            return "others", None, difference
        symbols = candidate.symbols
        rows = await fetch(
            self._pool,
            "SELECT * FROM fleet.join(%s, %s, %s, %s, %b::text[], %s, %s, %s, %s, %s, %s, %s)",
            candidate.name,
            self.instance,
            candidate.role,
            __version__,
            list(candidate.keys),
            self.clock_ahead,
            None if symbols is None else len(symbols),
            None if symbols is None else list_digest(symbols).hex(),
            expected,
            settings,
            difference is None,
            beat_seen,
        )
        verdict, beat, self._agreed_at = rows[0]
        return verdict, beat, difference

    async def beat(self, *, followed: int, trouble: str | None = None) -> bool:
        """Give a sign of life, with the place in the log that the file here has.

        Return False if this process has to join again: something else has been agreed about since it joined, or another
        process has its name. A standby that took over may only have forgotten the one that joined last: joining shows
        whether the other lives.
        """
        rows = await fetch(
            self._pool,
            _BEAT,
            self.clock_ahead,
            followed,
            trouble,
            self._name,
            self.instance,
        )
        return bool(rows) and bool(rows[0][0] == self._agreed_at)

    async def leave(self) -> None:
        """Leave in order: others need not wait until this process seems dead. Who has its name by now stays."""
        await fetch(
            self._pool,
            "WITH gone AS (UPDATE fleet.members SET left_at = clock_timestamp(), trouble = NULL, disagreed = %s"
            " WHERE name = %s AND instance = %s RETURNING name)"
            " DELETE FROM fleet.leases WHERE member IN (SELECT name FROM gone)",
            self.disagrees,
            self._name,
            self.instance,
        )
        self._name = None

    async def leave_soon(self) -> None:
        """Leave in order if PostgreSQL answers at once: a process that ends cannot wait for it."""
        with suppress(FleetError, TimeoutError):
            async with asyncio.timeout(_LEAVES_WITHIN.total_seconds()):
                await self.leave()

    async def holds(self, task: str) -> bool:
        """Take a task that one member does for all, or go on with it. Return whether it is this member's now."""
        rows = await fetch(self._pool, "SELECT fleet.lease(%s, %s, %s)", task, self._name, LEASE)
        return bool(rows[0][0])

    async def measure_clock(self) -> datetime:
        """Return what PostgreSQL's clock shows, and note by how much the one here is ahead."""
        before = self._clock.now()
        at = await now(self._pool)
        after = self._clock.now()
        self.clock_ahead = before + (after - before) / 2 - at
        return at


_BEAT = """
    UPDATE fleet.members
       SET beat_at = clock_timestamp(), clock_ahead = %s, followed = %s, head = (SELECT seq FROM fleet.log_head),
           trouble = %s, left_at = NULL
     WHERE name = %s AND instance = %s RETURNING (SELECT at FROM fleet.agreed)
"""


def proposal(wanted: Agreement | None, agreed: str | None, *, may_add: bool) -> tuple[str | None, Difference | None]:
    """Return what to agree about from now on, as text, and in what it differs from what was agreed about.

    `may_add`: whether a key that the fleet does not have is no difference.
    """
    if wanted is None:
        return None, None
    if agreed is None:
        return wanted.to_text(), None
    try:
        before = Agreement.from_text(agreed)
    except Undecodable as error:
        text = f"what the others agree about cannot be read: {error}"
        return wanted.to_text(), Difference(text, "pipeline fleet init, on a machine that is configured as all are")
    difference = wanted.difference(before) or (None if may_add else wanted.addition_to(before))
    if difference is not None:
        return wanted.in_place_of(before).to_text(), difference
    return wanted.beside(before).to_text(), None

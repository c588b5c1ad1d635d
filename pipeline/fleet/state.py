"""The state of a fleet, as PostgreSQL knows it: members, keys, the log, and the runs that are under way."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipeline.errors import Trouble, Undecodable
from pipeline.fleet.agreement import Agreement
from pipeline.model.slots import Block
from pipeline.quota.estimate import WindowUsage
from pipeline.quota.limits import Limit

if TYPE_CHECKING:  # an extra
    from psycopg import Connection

LIVES = timedelta(minutes=1)
"""A member that did not report itself for longer is dead."""
FORGOTTEN = timedelta(days=7)
"""A member that has been dead or has left for longer is of no interest any more."""


class Presence(StrEnum):
    """Whether a member is there. The values are printed."""

    RUNNING = "running"
    LEFT = "left"
    """It stopped in order."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Server:
    """PostgreSQL."""

    at: datetime
    """What its clock shows: all instants of a state are by this clock."""
    version: str
    is_standby: bool
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A machine that collects, or one that only follows."""

    name: str
    role: str
    version: str
    keys: tuple[str, ...]
    """Fingerprints."""
    started_at: datetime
    beat_at: datetime
    left_at: datetime | None
    clock_ahead: timedelta
    """Its clock less PostgreSQL's."""
    followed: int
    """Its file had the log up to here at its last sign of life."""
    head: int
    """And the log went up to here."""
    symbols: int | None
    symbols_digest: str | None
    trouble: str | None

    def presence(self, at: datetime) -> Presence:
        """Return whether it is there at an instant."""
        if self.left_at is not None:
            return Presence.LEFT
        return Presence.RUNNING if at - self.beat_at <= LIVES else Presence.DEAD

    def is_forgotten(self, at: datetime) -> bool:
        """Whether it has been away for so long that nobody misses it."""
        return self.presence(at) is not Presence.RUNNING and at - self.beat_at > FORGOTTEN


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key, and what may be requested with it."""

    id: str
    """Its fingerprint."""
    name: str
    windows: tuple[WindowUsage, ...]
    block: Block | None
    """Nothing is requested until it is over."""
    pause: Block | None
    """The API throttled: nothing is requested for a moment."""
    last_at: datetime | None
    """When a slot of it was last taken."""

    @property
    def label(self) -> str:
        """What people know it by: its name, or where it is the only key of a configuration, its fingerprint."""
        return self.name or self.id

    def free_at(self, at: datetime) -> datetime:
        """Return when the next request may leave."""
        windows = [window.next_free_at for window in self.windows if window.next_free_at is not None]
        return max([at, *windows, *(one.until for one in (self.block, self.pause) if one is not None)])


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that is under way."""

    id: int
    trigger: str
    schedule: str | None
    scheduled_for: datetime | None
    started_at: datetime | None
    member: str
    """Who began it."""
    is_alone: bool
    """Whether that member does it alone, without batches."""
    due: int
    ended: int
    """How many of those due have an outcome."""
    last_ended_at: datetime | None
    batches: int
    batches_done: int
    jobs: int
    """How many are queued or being done."""
    stalled: int
    """How many of them a worker had that died."""
    without_job: int
    """How many batches are not done and have no job."""


@dataclass(frozen=True, slots=True)
class FleetState:
    """The whole state at one instant."""

    id: UUID
    schema: int
    begun_at: datetime
    server: Server
    agreed: str | None
    """What the members agree about, as they wrote it."""
    agreed_at: datetime | None
    agreed_by: str | None
    head: int
    """How many entries the log has."""
    members: tuple[Member, ...]
    keys: tuple[KeyState, ...]
    runs: tuple[ActiveRun, ...]

    def running(self, role: str | None = None) -> list[Member]:
        """Return the members that are there; those of a role, if one is given."""
        at = self.server.at
        found = [one for one in self.members if one.presence(at) is Presence.RUNNING]
        return [one for one in found if role in (None, one.role)]

    def holders(self, key: str) -> list[str]:
        """Return which members that are there hold a key."""
        return [one.name for one in self.running() if key in one.keys]

    @property
    def agreement(self) -> Agreement | None:
        """What the members agree about, if there is something that can be read."""
        with suppress(Undecodable):
            return None if self.agreed is None else Agreement.from_text(self.agreed)
        return None

    @property
    def known_keys(self) -> list[KeyState]:
        """The keys that are held, or that the members agree about: one that no configuration has is of no interest."""
        agreement = self.agreement
        agreed = {key.id for key in self.keys} if agreement is None else agreement.ids
        return [key for key in self.keys if key.id in agreed or self.holders(key.id)]

    @property
    def usable_keys(self) -> list[KeyState]:
        """The keys that requests can be sent with: those that are held, or while no member runs, all that are known."""
        return [key for key in self.keys if self.holders(key.id)] or self.known_keys

    def behind(self, member: Member) -> int | None:
        """Return how many entries of the log a machine's file had not got at its last sign of life.

        One that has died has got none since; None for one that has left, or that came for one run and does not follow.
        """
        presence = member.presence(self.server.at)
        if presence is Presence.LEFT or member.role == "collector":
            return None
        return max((self.head if presence is Presence.DEAD else member.head) - member.followed, 0)


def read_state(db: "Connection[Any]") -> FleetState:
    """Return the state, all of it as of one moment. Raise psycopg.Error if it cannot be read.

    The connection commits by itself. A standby answers too, as far as it has heard.
    """
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        server = Server(*_one(db, _SERVER))
        fleet, schema, begun_at = _one(db, _ABOUT)
        agreed, agreed_at, agreed_by = db.execute(_AGREED).fetchone() or (None, None, None)
        (head,) = _one(db, "SELECT seq FROM fleet.log_head")
        members = [Member(row[0], row[1], row[2], tuple(row[3]), *row[4:]) for row in db.execute(_MEMBERS)]
        keys = db.execute(_KEYS).fetchall()
        windows = db.execute(_WINDOWS, {"at": server.at}).fetchall()
        runs = [ActiveRun(*row) for row in db.execute(_RUNS, {"dead_before": server.at - LIVES})]
    return FleetState(
        id=fleet,
        schema=schema,
        begun_at=begun_at,
        server=server,
        agreed=agreed,
        agreed_at=agreed_at,
        agreed_by=agreed_by,
        head=head,
        members=tuple(members),
        keys=tuple(_keys(keys, windows, at=server.at)),
        runs=tuple(runs),
    )


def _keys(keys: Iterable[Sequence[Any]], windows: Iterable[Sequence[Any]], *, at: datetime) -> Iterator[KeyState]:
    windows_of: dict[str, list[Sequence[Any]]] = {}
    for key, *window in windows:
        windows_of.setdefault(key, []).append(window)
    for key, name, last_at, blocked_since, blocked_until, reason, paused_since, paused_until in keys:
        block = _block(blocked_since, blocked_until, reason, at=at)
        pause = _block(paused_since, paused_until, "the API throttles", at=at)
        waits = [one.until for one in (block, pause) if one is not None]
        usages = [replace(_usage(*window, waits=waits, at=at), key=name or None) for window in windows_of.get(key, ())]
        yield KeyState(key, name, tuple(usages), block, pause, last_at)


def _usage(
    count: int, period: timedelta, used: int, opens_at: datetime | None, *, waits: list[datetime], at: datetime
) -> WindowUsage:
    """Return how much of a window is used. `opens_at`: when the slot that fills it leaves it; `waits`: of the key."""
    if used >= count and opens_at is not None and opens_at > at:
        waits = [*waits, opens_at]
    return WindowUsage(str(Limit(count, period)), used, max(count - used, 0), max(waits, default=None))


def _block(since: datetime | None, until: datetime | None, reason: str | None, *, at: datetime) -> Block | None:
    """Return the block that is on at an instant, if there is one."""
    return None if until is None or until <= at else Block(since or at, until, reason)


def _one(db: "Connection[Any]", query: str) -> Any:
    if (row := db.execute(query).fetchone()) is None:
        problem = "the fleet's tables lack a row that each fleet has: someone deleted it"
        raise Trouble(problem, remedy="restore the PostgreSQL database")
    return row


_SERVER = """
    SELECT clock_timestamp(), current_setting('server_version'), pg_is_in_recovery(),
           current_setting('transaction_read_only')::boolean
"""
_ABOUT = "SELECT id, version, begun_at FROM fleet.about"
_AGREED = "SELECT settings, at, member FROM fleet.agreed"
_MEMBERS = """
    SELECT name, role, version, keys, started_at, beat_at, left_at, clock_ahead, followed, head, symbols,
           symbols_digest, trouble
      FROM fleet.members ORDER BY role DESC, name
"""
_KEYS = """
    SELECT id, name, last_at, blocked_since, blocked_until, blocked_by, paused_since, paused_until
      FROM fleet.keys ORDER BY name, id
"""
_WINDOWS = """
    SELECT l.key_id, l.count, l.period,
           (SELECT count(*) FROM fleet.slots s WHERE s.key_id = l.key_id AND s.counts_from > %(at)s - l.period),
           (SELECT s.counts_from + l.period FROM fleet.slots s
             WHERE s.key_id = l.key_id AND s.counts_from IS NOT NULL
             ORDER BY s.counts_from DESC OFFSET l.count - 1 LIMIT 1)
      FROM fleet.limits l WHERE NOT l.is_for_retries ORDER BY l.key_id, l.period DESC
"""
_RUNS = """
    WITH jobs AS (
        SELECT (j.args->>'run')::bigint AS run_id, (j.args->>'number')::int AS number,
               bool_or(j.status = 'doing' AND (w.id IS NULL OR w.last_heartbeat < %(dead_before)s)) AS is_stalled
          FROM public.procrastinate_jobs j LEFT JOIN public.procrastinate_workers w ON w.id = j.worker_id
         WHERE j.status IN ('todo', 'doing')
         GROUP BY 1, 2
    )
    SELECT r.id, r.trigger, r.schedule, r.scheduled_for, r.started_at, r.member, r.instance IS NOT NULL, r.due,
           ended.number, ended.last_at, count(b.number), count(b.done_at),
           count(j.run_id), count(j.run_id) FILTER (WHERE j.is_stalled),
           count(b.number) FILTER (WHERE b.done_at IS NULL AND j.run_id IS NULL)
      FROM fleet.runs r
      LEFT JOIN fleet.batches b ON b.run_id = r.id
      LEFT JOIN jobs j ON j.run_id = b.run_id AND j.number = b.number
     CROSS JOIN LATERAL (
           SELECT count(*) AS number, max(o.at) AS last_at FROM fleet.outcomes o WHERE o.run_id = r.id) ended
     WHERE r.status = 'running'
     GROUP BY r.id, ended.number, ended.last_at ORDER BY r.id
"""

"""Members that use the fleet's functions in PostgreSQL and nothing else: many connections, which are quick to make."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg

from pipeline.quota.limits import Limit

KEY = "00000000000000a1"
LIMITS = (Limit(12, timedelta(seconds=0.4)), Limit(40, timedelta(seconds=1.6)))
LIFETIME = timedelta(seconds=0.3)
"""How long a request may take, at most."""
_AT_ONCE = 4
"""Symbols that a member asks for at once."""
_SYMBOLS = 400


def declare(url: str) -> None:
    """Give a fleet one key. Its periods are shorter than those that a plan can have."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO fleet.keys (id, name) VALUES (%s, 'one')", (KEY,))
        for limit in LIMITS:
            values = (KEY, limit.count, limit.period)
            db.execute("INSERT INTO fleet.limits (key_id, count, period) VALUES (%s, %s, %s)", values)


class Senders:
    """Members that take slots, send requests to a server that only counts, close their slots, or die."""

    def __init__(self, url: str, *, members: int = 12) -> None:
        self._url = url
        self._members = members
        self.arrivals: list[int] = []
        """When the server got a request: nanoseconds of its monotonic clock."""

    def run(self, duration: float) -> None:
        """Let all of them work for that many seconds."""
        end = time.monotonic() + duration
        _together(self._members, lambda number: self._send_until(f"m{number}", end))

    def spend_all(self) -> None:
        """Send as many requests as are admitted now, and close their slots."""
        with psycopg.connect(self._url, autocommit=True) as db:
            slots = _reserve(db, "spender", [f"T{n}" for n in range(_SYMBOLS)])
            self.arrivals += [time.monotonic_ns() for _ in slots]
            _close(db, slots)

    def _send_until(self, member: str, end: float) -> None:
        chance = random.Random(member)
        with psycopg.connect(self._url, autocommit=True) as db:
            while time.monotonic() < end:
                before = time.monotonic()  # as members do: a deadline counts from before the slot was asked for
                slots = _reserve(db, member, [f"S{chance.randrange(_SYMBOLS)}" for _ in range(_AT_ONCE)])
                if not slots:
                    time.sleep(0.003)
                    continue
                dies = chance.random() < 0.4
                latest = before + LIFETIME.total_seconds() - 0.01
                arrives = latest if dies else min(latest, time.monotonic() + chance.uniform(0, 0.25))
                time.sleep(max(arrives - time.monotonic(), 0))
                if time.monotonic() < before + LIFETIME.total_seconds():
                    self.arrivals += [time.monotonic_ns() for _ in slots]
                if not dies:
                    _close(db, slots)


def _reserve(db: psycopg.Connection[Any], member: str, symbols: list[str]) -> list[int]:
    many = len(symbols)
    rows = db.execute(
        "SELECT slot_id FROM fleet.reserve(%s, %s, %s, %s::bigint[], %s::text[], %s::boolean[], '{}', '{}', '{}')"
        " WHERE verdict = 'granted'",
        (KEY, member, LIFETIME, [None] * many, symbols, [False] * many),
    )
    return [slot for (slot,) in rows]


def _close(db: psycopg.Connection[Any], slots: list[int]) -> None:
    many = len(slots)
    db.execute("SELECT fleet.close_slots(%s, %s, %s::float8[])", (slots, ["answered"] * many, [0.0] * many))


class Appenders:
    """Members that append to the log, and a follower that reads what is after the last entry that it has seen."""

    def __init__(self, url: str, *, members: int = 6) -> None:
        self._url = url
        self._members = members
        self.followed: list[int] = []
        """The places of the log that the follower has read, in order."""

    def run(self, duration: float) -> None:
        """Let them append for that many seconds; the follower reads on until there is nothing more."""
        end = time.monotonic() + duration
        appending = threading.Thread(
            target=_together, args=(self._members, lambda number: self._append_until(number, end))
        )
        appending.start()
        with psycopg.connect(self._url, autocommit=True) as db:
            while appending.is_alive():
                self._follow(db)
            appending.join()
            self._follow(db)

    def _follow(self, db: psycopg.Connection[Any]) -> None:
        last = self.followed[-1] if self.followed else 0
        rows = db.execute("SELECT seq FROM fleet.log WHERE seq > %s ORDER BY seq", (last,)).fetchall()
        self.followed += [seq for (seq,) in rows]

    def _append_until(self, number: int, end: float) -> None:
        chance = random.Random(number)
        slot = number * 1_000_000
        with psycopg.connect(self._url, autocommit=True) as db:
            while time.monotonic() < end:
                slots = list(range(slot, slot := slot + chance.randrange(1, 4)))
                symbols = [f"S{number}-{one % 100}" for one in slots]
                many = len(slots)
                db.execute(
                    "SELECT fleet.append(%s, %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::int[],"
                    " (SELECT array_agg(clock_timestamp()) FROM generate_series(1, %s)), %s::text[], %s::bigint[],"
                    " %s::bytea[], %s::text[])",
                    (f"m{number}", [], [], [1] * many, symbols, ["answered"] * many, [1] * many, many, [None] * many,
                     slots, [f"{one}".encode() for one in slots], ["{}"] * many),
                )  # fmt: skip

    def missed(self) -> int:
        """Return how many entries of the log the follower does not have."""
        with psycopg.connect(self._url, autocommit=True) as db:
            return len({seq for (seq,) in db.execute("SELECT seq FROM fleet.log")} - set(self.followed))


def _together(number: int, work: Callable[[int], None]) -> None:
    """Call a function with each number in a thread of its own. Raise the first error of any."""
    errors: list[BaseException] = []

    def run(one: int) -> None:
        try:
            work(one)
        except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]

"""Fleets as tests of what is shown need them: rows put into PostgreSQL's tables as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Placeholder

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Tables:
    """A fleet's tables. Every instant is given as how long ago it was, by PostgreSQL's clock."""

    url: str
    db: psycopg.Connection[Any]

    def insert(self, table: str, *, ago: dict[str, timedelta] | None = None, **values: Any) -> Any:
        """Insert a row: `values` as they are, `ago` as instants. Return its first column."""
        columns = [*values, *(ago or {})]
        places = [Placeholder() for _ in values] + [
            SQL("clock_timestamp() - {}").format(Placeholder()) for _ in ago or ()
        ]
        query = SQL("INSERT INTO fleet.{} ({}) VALUES ({}) RETURNING *").format(
            Identifier(table), SQL(", ").join(map(Identifier, columns)), SQL(", ").join(places)
        )
        row = self.db.execute(query, [*values.values(), *(ago or {}).values()]).fetchone()
        assert row is not None
        return row[0]

    def member(self, name: str, *, beat: timedelta = SECOND, left: timedelta | None = None, **values: Any) -> None:
        """Add a member that last reported itself a while ago."""
        ago = {"started_at": timedelta(hours=1), "beat_at": beat} | ({} if left is None else {"left_at": left})
        given = {"role": "member", "version": "1.0", "clock_ahead": timedelta(), "keys": ["k1"]} | values
        self.insert("members", name=name, instance="00000000-0000-0000-0000-000000000001", ago=ago, **given)

    def key(self, key: str = "k1", name: str = "one", *limits: tuple[int, timedelta], **values: Any) -> None:
        """Add a key with its limits."""
        self.insert("keys", id=key, name=name, **values)
        for count, period in limits or ((25, timedelta(days=1)),):
            self.insert("limits", key_id=key, count=count, period=period)

    def slot(self, symbol: str, *, finished: timedelta | None, key: str = "k1", retry: bool = False) -> None:
        """Add a slot that was closed a while ago, or is open (None)."""
        ago = {"reserved_at": timedelta(minutes=1), "deadline_at": timedelta(minutes=-1)}
        closed: dict[str, Any] = {} if finished is None else {"outcome": "answered"}
        ago |= {} if finished is None else {"finished_at": finished}
        self.insert("slots", key_id=key, symbol=symbol, member="alpha", retry=retry, ago=ago, **closed)

    def run(self, *, batches: int = 2, done: int = 0, started: timedelta = timedelta(minutes=5), **values: Any) -> int:
        """Add a run that is under way, and its batches of one symbol, the first of them done. Return its id."""
        given = {"trigger": "schedule", "schedule": "daily", "status": "running", "due": batches, "member": "alpha"}
        ago = {"started_at": started, "scheduled_for": started}
        run: int = self.insert("runs", ago=ago, **(given | values))
        for number in range(batches):
            ended = {"done_at": SECOND} if number < done else {}
            self.insert("batches", run_id=run, number=number, symbols=[f"S{number}"], ago=ended)
        return run

    def job(self, run: int, number: int, *, worker_beat: timedelta | None = None) -> None:
        """Add a batch's job: queued, or done by a worker that last reported itself a while ago."""
        args = SQL("jsonb_build_object('run', {}::int, 'number', {}::int)").format(run, number)
        if worker_beat is None:
            self.db.execute(
                SQL(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('collect', 'batch', {})"
                ).format(args)
            )
            return
        self.db.execute(
            SQL(
                "WITH worker AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                " VALUES (clock_timestamp() - {}::interval) RETURNING id)"
                " INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id)"
                " SELECT 'collect', 'batch', {}, 'doing', id FROM worker"
            ).format(worker_beat, args)
        )

    def outcome(self, run: int, symbol: str, ago: timedelta) -> None:
        """Add that a symbol ended in a run a while ago."""
        self.insert(
            "outcomes", run_id=run, symbol=symbol, outcome="stored", attempts=1, member="alpha", ago={"at": ago}
        )

    def agree(self, settings: str = "{}") -> None:
        """Let the members agree about something."""
        self.insert("agreed", settings=settings, member="alpha", ago={"at": timedelta(hours=1)})

    def head(self, seq: int) -> None:
        """Let the log have this many entries."""
        self.db.execute("UPDATE fleet.log_head SET seq = %s", [seq])


@contextmanager
def tables(url: str) -> Iterator[Tables]:
    """Yield a fleet's tables."""
    with psycopg.connect(url, autocommit=True) as db:
        yield Tables(url, db)

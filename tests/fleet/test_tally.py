"""The outcomes of a run: each symbol that was due has one, however the run ended, and whoever else was at it."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.fleet.pool import Pool, fetch
from tests.support.fleet_log import follow
from tests.support.fleet_work import ended, fired, source, working
from tests.support.sandbox import Served

SYMBOLS = 6
_numbers = count(1)
_OUTCOMES = ("stored", "unchanged", "unknown", "failed", "rejected", "deferred")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ends", "observed"]), st.integers(0, SYMBOLS - 1), st.sampled_from(
            ["answered", "unknown", "failed", "rejected", "deferred"])),
        st.tuples(st.sampled_from(["out", "closed"]), st.integers(0, SYMBOLS - 1), st.none()),
        st.tuples(st.just("batch"), st.integers(0, 2), st.none()),
        st.tuples(st.sampled_from(["halt", "end", "settle"]), st.just(0), st.none()),
    ),
    max_size=14,
)  # fmt: skip


_OBSERVED_AND_DEFERRED = """
    SELECT y.symbol FROM fleet.batches b JOIN fleet.symbols y ON y.symbol = ANY (b.symbols)
     WHERE b.run_id = %s AND y.last_look IS NOT NULL
       AND y.symbol NOT IN (SELECT symbol FROM fleet.outcomes WHERE run_id = %s AND outcome <> 'deferred')
       AND y.symbol NOT IN (SELECT symbol FROM fleet.slots WHERE finished_at IS NULL)
"""


class Run:
    """A run of the fleet, which members are at, and another one for the same symbols."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        number = next(_numbers)
        self.db = db
        self.symbols = [f"S{number}.{one}" for one in range(SYMBOLS)]
        self.id, self.other = (self._begun(due) for due in (SYMBOLS, 0))
        db.execute(
            "INSERT INTO fleet.batches (run_id, number, symbols) SELECT %s, n, (%s::text[])[2 * n + 1 : 2 * n + 2]"
            " FROM generate_series(0, 2) AS n",
            [self.id, self.symbols],
        )

    def _begun(self, due: int) -> int:
        ((run,),) = self.db.execute(
            "INSERT INTO fleet.runs (trigger, status, started_at, due, symbols, observed_since, member)"
            " VALUES ('manual', 'running', now(), %s, %s, now() - interval '1 s', 'alpha') RETURNING id",
            [due, due],
        ).fetchall()
        return int(run)

    def do(self, step: str, number: int, outcome: str | None) -> None:
        symbol = self.symbols[number]
        match step:
            case "ends" | "observed":
                self._end(self.id if step == "ends" else self.other, symbol, outcome or "")
            case "out":
                self._slot(self.id, symbol)
            case "closed":
                self.db.execute("UPDATE fleet.slots SET finished_at = now(), outcome = 'x' WHERE symbol = %s", [symbol])
            case "batch":
                self.db.execute("SELECT fleet.finish_batch(%s, %s, '5 s')", [self.id, number])
            case "halt":
                self.db.execute("SELECT fleet.halt_run(%s, 'quota_exhausted', 'why', false)", [self.id])
            case "end":
                self.db.execute("SELECT fleet.end_run(%s, 'interrupted', 'superseded')", [self.id])
            case "settle":
                self.db.execute("SELECT fleet.settle(%s)", [self.id])

    def _slot(self, run: int, symbol: str) -> int | None:
        """Return the slot for a request, None if one is out for the symbol."""
        rows = self.db.execute(
            "INSERT INTO fleet.slots (key_id, run_id, symbol, member, retry, reserved_at, deadline_at)"
            " VALUES ('k', %s, %s, 'alpha', false, now(), now() + interval '1 min') ON CONFLICT DO NOTHING"
            " RETURNING id",
            [run, symbol],
        ).fetchall()
        return rows[0][0] if rows else None

    def _end(self, run: int, symbol: str, outcome: str) -> None:
        is_look = outcome in ("answered", "unknown")
        slot = self._slot(run, symbol) if is_look else None
        if is_look and slot is None:
            return
        self.db.execute(
            "SELECT fleet.append('alpha', NULL, NULL, ARRAY[%s]::bigint[], ARRAY[%s], ARRAY[%s], ARRAY[%s]::int[],"
            " ARRAY[clock_timestamp()], ARRAY['why'], ARRAY[%s]::bigint[], ARRAY['d'::bytea], ARRAY['{}'])",
            [run, symbol, outcome, 0 if outcome == "deferred" else 1, slot],
        )
        self.db.execute("UPDATE fleet.slots SET finished_at = now(), outcome = 'answered' WHERE id = %s", [slot])


@settings(max_examples=25, deadline=timedelta(seconds=10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=_STEPS, after=_STEPS)
def test_each_symbol_that_is_due_is_counted_once_however_the_run_ends(
    fleet_url: str, before: list[tuple[str, int, str | None]], after: list[tuple[str, int, str | None]]
) -> None:
    with psycopg.connect(fleet_url, autocommit=True) as db:
        run = Run(db)
        for step in (*(one for one in before if one[0] != "end"), ("end", 0, None)):
            run.do(*step)
        assert db.execute(_OBSERVED_AND_DEFERRED, [run.id, run.id]).fetchall() == []
        for step in (*after, ("batch", 0, None)):
            run.do(*step)

        query = f"SELECT due, {', '.join(_OUTCOMES)} FROM fleet.runs WHERE id = %s"
        ((due, *counted),) = db.execute(query, [run.id]).fetchall()
        rows = Counter(one for (one,) in db.execute("SELECT outcome FROM fleet.outcomes WHERE run_id = %s", [run.id]))
        logged = db.execute(
            "SELECT body::json FROM fleet.log WHERE kind = 'run' AND run_id = %s ORDER BY seq DESC LIMIT 1", [run.id]
        ).fetchall()[0][0]

    assert due == sum(counted)
    assert counted[:-1] == [rows[outcome] for outcome in _OUTCOMES[:-1]]
    assert rows["deferred"] <= counted[-1]
    assert [logged[outcome] for outcome in _OUTCOMES] == counted


async def test_a_symbol_that_another_run_observed_meanwhile_is_unchanged_and_in_all_records_but_no_observation(
    pool: Pool, served: Served, database: Path
) -> None:
    run = await fired(pool)
    async with working(pool, "alpha", source(served.base_url)) as worker:
        ((other,),) = await fetch(
            pool,
            "INSERT INTO fleet.runs (trigger, status, started_at, symbols, due, observed_since, member)"
            " VALUES ('manual', 'running', now(), 1, 1, now() - interval '1 hour', 'beta') RETURNING id",
        )
        await fetch(pool, "INSERT INTO fleet.batches (run_id, number, symbols) VALUES (%s, 0, '{PEP}')", other)
        await worker.batches.do(other, 0)
        before = await fetch(pool, "SELECT * FROM fleet.symbols WHERE symbol = 'PEP'")
        await worker.batches.do(run, 0)

    assert served.api.requests == 3
    assert await ended(pool) == [("complete", 2, 1, 0, 0, 0, 0), ("complete", 1, 0, 0, 0, 0, 0)]
    assert await fetch(pool, "SELECT * FROM fleet.symbols WHERE symbol = 'PEP'") == before
    await follow(database, pool)
    with closing(sqlite3.connect(database)) as db:
        query = "SELECT outcome, attempts, detail FROM outcomes WHERE run_id = ? AND symbol = 'PEP'"
        assert db.execute(query, [run]).fetchall() == [("unchanged", 0, f"run {other} observed it meanwhile")]
        assert db.execute("SELECT count(*) FROM snapshots WHERE symbol = 'PEP'").fetchall() == [(1,)]
        assert db.execute("SELECT last_look = last_try FROM symbols WHERE symbol = 'PEP'").fetchall() == [(1,)]
        assert db.execute("SELECT due, stored + unchanged FROM runs WHERE id = ?", [run]).fetchall() == [(3, 3)]

"""Members of a fleet that do one run together. Run as a process: prints JSON.

They are `pipeline run`, each a process with a file of its own, over a PostgreSQL with fsync on.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from benchmarks.documents import symbols
from benchmarks.fleet import Together
from benchmarks.server import Plan, served
from pipeline.fleet.install import install
from pipeline.quota.limits import Limit
from tests.chaos.machines import Machine, Wanted
from tests.support.postgres import running_server

_NEVER = "0 0 1 1 *"
"""A schedule that does not fire while this measures: the run is begun by hand, once all members are there."""
_PATIENCE = 300.0
_KEY = "Q7ZB3XKD9WJH4TMV"
_FIRE = """
    SELECT fleet.fire('catch_up', schedule, date_trunc('second', clock_timestamp()), 1000000, NULL, 'benchmark', %s, %s,
                      50)
      FROM fleet.schedules
"""


def _measured(members: int, plan: Plan, number: int) -> Together:
    """Return what that many members needed for a run of that many symbols."""
    due = [str(symbol) for symbol in symbols(number)]
    with tempfile.TemporaryDirectory() as folder, running_server(is_durable=True) as postgres, served(plan) as api:
        url = postgres.url("fleet")
        with psycopg.connect(postgres.url(), autocommit=True) as db:
            db.execute("CREATE DATABASE fleet")
        limits = [str(limit) for limit in plan.limits]
        wanted = Wanted(api.url, url, {"one": _KEY}, limits, due, [_NEVER], timeout=30)
        machines = [Machine(Path(folder, f"m{one}"), wanted, ["one"]) for one in range(members)]
        try:
            with psycopg.connect(url, autocommit=True) as db:
                install(db)
                for machine in machines:
                    machine.start()
                _wait(db, f"SELECT count(*) = {members} FROM fleet.members WHERE followed > 0")
                before = sum(_cpu_seconds(machine.pid) for machine in machines), _with_children(postgres.pid)
                db.execute(_FIRE, (number, due))
                _wait(db, "SELECT status <> 'running' FROM fleet.runs WHERE member = 'benchmark'")
                after = sum(_cpu_seconds(machine.pid) for machine in machines), _with_children(postgres.pid)
                (stored,) = db.execute("SELECT stored FROM fleet.runs WHERE member = 'benchmark'").fetchone() or (0,)
        finally:
            for machine in machines:
                machine.kill()
    counted = api.counted
    return Together(
        stored,
        counted.requests,
        counted.refused,
        counted.last - counted.first + plan.latency.total_seconds(),
        after[0] - before[0],
        after[1] - before[1],
        counted.cpu_seconds,
    )


def _wait(db: psycopg.Connection[tuple[bool]], query: str) -> None:
    end = time.monotonic() + _PATIENCE
    while db.execute(query.encode()).fetchone() != (True,):
        assert time.monotonic() < end, f"it takes too long: {query}"
        time.sleep(0.1)  # between two looks at whether all are done


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _with_children(pid: int) -> float:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _cpu_seconds(pid) + sum(_cpu_seconds(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("members", type=int)
    parser.add_argument("symbols", type=int)
    parser.add_argument("--limit", action="append", type=Limit.parse, default=[])
    parser.add_argument("--latency", type=float, default=0.0)
    arguments = parser.parse_args()
    plan = Plan(timedelta(seconds=arguments.latency), tuple(arguments.limit))
    try:
        together = _measured(arguments.members, plan, arguments.symbols)
    except pytest.skip.Exception as reason:
        print(json.dumps({"skipped": str(reason)}))
    else:
        print(json.dumps(asdict(together)))


if __name__ == "__main__":
    main()

"""Runs: what the record says of them at the instant, in pages, and how each symbol ended."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline import History
from pipeline.model.outcomes import Outcome, RunStatus
from tests.support.observations import database_of, seen, text
from tests.support.rest import API, all_rows, answered, csv_rows, pages, parquet_table
from tests.support.site import served
from tests.support.timeline import Ended, Missed, Ran, seen_fields, write_steps


@pytest.fixture(scope="module", name="database")
def _database() -> Path:
    database = database_of([seen(-50, "KO", EPS="9")])
    failed = Ended("PEP", 10.2, Outcome.FAILED, attempts=3, detail='=x, "<b>"\x1b')
    observed = Ended("IBM", 10.1, fields=seen_fields(EPS="1"))
    late = Ended("KO", 13, Outcome.DEFERRED, attempts=0)
    first = Ran(0, (Ended("IBM", 0.1, fields=seen_fields(EPS="1")),), 1)
    long = Ran(10, (observed, failed, late), 14, RunStatus.QUOTA_EXHAUSTED, detail="the quota has ended")
    write_steps(database, [first, long, Missed(5, 20)])
    return database


def known(database: Path, hour: float | None = None) -> list[dict[str, Any]]:
    with History.open(database, until=None if hour is None else text(hour)) as history:
        return [asdict(run) for run in history.runs()]


async def test_they_are_those_of_the_record_the_newest_first(database: Path) -> None:
    async with served(database) as client:
        assert await all_rows(client, "/runs") == known(database)
        assert [len(page) async for page in pages(client, "/runs?limit=2")] == [2, 1]
        assert await all_rows(client, "/runs?limit=1") == known(database)
        for run in known(database):
            assert await answered(client, f"/runs/{run['id']}") == run
        names, *rows = await csv_rows(client, "/runs")
        assert [row[names.index("status")] for row in rows] == ["missed", "quota_exhausted", "complete"]
        assert (await parquet_table(client, "/runs")).column("requests").to_pylist() == [0, 4, 1]


async def test_one_that_had_not_ended_at_the_instant_was_under_way(database: Path) -> None:
    async with served(database) as client:
        then = json.loads((await client.get(f"/as-of/{text(12)}{API}/runs")).body)["rows"]
        assert then == known(database, 12)
        assert (then[0]["status"], then[0]["detail"]) == ("running", None)
        outcomes = json.loads((await client.get(f"/as-of/{text(12)}{API}/runs/2/outcomes")).body)["rows"]
        assert [one["symbol"] for one in outcomes] == ["IBM", "PEP"]
        assert (await client.get(f"/as-of/{text(9)}{API}/runs/2")).status == 404
        assert (await client.get(f"/as-of/{text(9)}{API}/runs/2/outcomes")).status == 404


async def test_outcomes_are_paged_narrowed_and_harmless(database: Path) -> None:
    with History.open(database) as history:
        expected = [asdict(one) for one in history.outcomes(2)]
    async with served(database) as client:
        assert await all_rows(client, "/runs/2/outcomes?limit=1") == expected
        assert await all_rows(client, "/runs/2/outcomes?outcome=failed,deferred") == expected[1:]
        _, row = await csv_rows(client, "/runs/2/outcomes?outcome=failed")
        assert row[-1].startswith("'=x")


async def test_a_run_that_cannot_be_is_refused(database: Path) -> None:
    async with served(database) as client:
        for path, status in {
            "/runs/9": 404, "/runs/0": 400, "/runs/x": 400, f"/runs/{2**63}": 400, "/runs/9/outcomes": 404,
            "/runs?after=x~1": 400, "/runs/2/outcomes?after=1~1": 400, "/runs/2/outcomes?outcome=lost": 400,
        }.items():  # fmt: skip
            assert (await client.get(f"{API}{path}")).status == status, path

"""Tables: each is what `History` says, in every format, in pages of any size, and never without bounds."""

import asyncio
import json
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from pipeline import History
from pipeline.model.fields import Kind
from pipeline.query.results import Answer, Column
from pipeline.rest import tables
from pipeline.rest.fields import fields
from pipeline.rest.tables import Table, as_csv, as_parquet, page
from pipeline.web.refusals import Refusal
from tests.support.commands import call
from tests.support.hard_record import hard_record
from tests.support.observations import after as hour
from tests.support.observations import database_of, recorded_database, seen, text, uncovered
from tests.support.recordings import needs_recordings
from tests.support.renames import configure, rename
from tests.support.rest import API, all_rows, csv_rows, pages, parquet_table
from tests.support.site import served

HOSTILE = '=cmd|"/C calc"!A0, <b>&amp;\u202e\x00\x1b[31m\r\n\N{SNOWMAN}'
Question = Callable[[History], Answer[Any]]
AT, SINCE, UNTIL = text(100), text(2), text(40)
QUESTIONS: dict[str, Question] = {
    f"/as-of?at={AT}&field=all": lambda h: h.as_of(AT, fields=["all"]),
    f"/as-of?at={AT}&symbol=ibm,NA&max_staleness=5": lambda h: h.as_of(AT, ["IBM", "NA"], max_staleness="5h"),
    f"/as-of?at={text(-1)}": lambda h: h.as_of(text(-1)),
    "/history/BRK-B?field=all&field=EPS": lambda h: h.history("BRK-B", ["all"]),
    f"/history/bf.b?since={SINCE}&until={UNTIL}": lambda h: h.history("BF.B", since=SINCE, until=UNTIL),
    f"/changes?since={SINCE}&min_change=1%25": lambda h: h.changes(since=SINCE, min_change=0.01),
    f"/changes?until={UNTIL}&symbol=NA&part=reported": lambda h: h.changes("NA", until=UNTIL, part="reported"),
    "/vintages/IBM?field=all": lambda h: h.vintages("IBM", ["all"]),
    f"/restatements?since={SINCE}&field=revenue_ttm": lambda h: h.restatements(None, ["revenue_ttm"], since=SINCE),
    f"/panel?since=2026-03-13&until={AT}&field=eps": lambda h: h.panel(["eps"], since="2026-03-13", until=AT),
    f"/panel?at={SINCE}&at={UNTIL},{AT}&field=eps,symbol&lag=3h": lambda h: h.panel(
        ["eps"], at=[AT, SINCE, UNTIL], lag="3h"
    ),
    f"/panel?since={SINCE}&until={AT}&symbol=NA": lambda h: h.panel(symbols=["NA"], since=SINCE, until=AT),
}


def said(database: Path, question: Question) -> list[dict[str, Any]]:
    with History.open(database) as history:
        answer = question(history)
        return [dict(zip(answer.names, row, strict=True)) for row in answer.rows()]


def without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


@pytest.fixture(scope="module", name="hard")
def _hard() -> Path:
    return hard_record()


@pytest.fixture(scope="module", name="renamed")
def _renamed() -> Path:
    """Return a record with a rename, a company that is not covered any more, and hostile text."""
    database = database_of(
        [seen(hour, "FB", Name=HOSTILE, EPS=str(hour), Latin="\xe9") for hour in range(3)]
        + [seen(hour, "META", Name="Meta", EPS=str(hour)) for hour in range(3, 6)]
        + [seen(1, "BC/PB", Name="x"), uncovered(4, "BC/PB")]
    )
    configure(database, rename("FB", "META", hour(2.5)))
    return database


async def test_each_table_is_what_history_says(hard: Path) -> None:
    async with served(hard) as client:
        for path, question in QUESTIONS.items():
            rows = without(await all_rows(client, f"{path}&limit=101" if "?" in path else path), "suspicions")
            assert rows == said(hard, question), path
            assert rows or text(-1) in path


async def test_pages_of_any_size_are_the_same_table(hard: Path) -> None:
    async with served(hard) as client:
        for path in QUESTIONS:
            whole = await all_rows(client, f"{path}&limit=10000")
            for limit in (1, 7) if len(whole) < 20 else (7,) if len(whole) < 60 else (61,):
                found = [page async for page in pages(client, f"{path}&limit={limit}")]
                assert [row for page in found for row in page] == whole, path
                assert all(len(page) <= limit for page in found)


async def test_csv_and_parquet_are_the_same_table_whole(hard: Path) -> None:
    async with served(hard) as client:
        for path, question in QUESTIONS.items():
            with History.open(hard) as history:
                answer = question(history)
                expected = answer.to_arrow()
                rows = [["" if value is None else str(value) for value in row] for row in answer.rows()]
            assert await csv_rows(client, path) == [list(answer.names), *rows], path
            assert (await parquet_table(client, path)).to_pylist() == expected.to_pylist(), path


async def test_a_page_has_a_hundred_rows_and_its_keys_are_in_the_order_of_the_csv(hard: Path) -> None:
    async with served(hard) as client:
        for path in ("/companies?field=all", f"/as-of?at={AT}&field=eps,name", f"/changes?since={SINCE}", "/fields"):
            page = json.loads((await client.get(f"{API}{path}")).body)
            names, *rows = await csv_rows(client, path)
            assert [list(row) for row in page["rows"]] == [names] * min(len(rows), 100), path
            assert (page["next"] is None) == (len(rows) <= 100), path


async def test_renames_and_what_is_not_covered_are_there_too(renamed: Path) -> None:
    questions: dict[str, Question] = {
        "/history/fb": lambda h: h.history("META"),
        f"/as-of?at={text(2)}": lambda h: h.as_of(text(2)),
        f"/changes?since={SINCE[:4]}-01-01": lambda h: h.changes(since="2026-01-01"),
        f"/panel?at={text(1)},{text(5)}&field=name": lambda h: h.panel(["name"], at=[text(1), text(5)]),
        "/history/BC%2FPB?field=name": lambda h: h.history("BC/PB", ["name"]),
    }
    async with served(renamed) as client:
        for path, question in questions.items():
            rows = without(await all_rows(client, f"{path}{'&' if '?' in path else '?'}limit=1"), "suspicions")
            assert rows == said(renamed, question), path
    assert "observed_symbol" in said(renamed, questions["/history/fb"])[0]


async def test_the_next_page_is_a_path_also_where_a_proxy_names_the_host(hard: Path) -> None:
    async with served(hard) as client:
        host, port = client.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET http://elsewhere.test{API}/as-of?limit=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
    assert json.loads(body)["next"].startswith(f"{API}/as-of?limit=1&after=")


async def test_hostile_text_comes_as_it_is_and_a_spreadsheet_runs_none_of_it(renamed: Path) -> None:
    async with served(renamed) as client:
        (row, *_) = await all_rows(client, "/history/FB?field=name&limit=2")
        assert row["name"] == HOSTILE
        _, first, *_ = await csv_rows(client, "/history/FB?field=name")
        assert first[3] == f"'{HOSTILE}"


def test_a_table_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_VALUES", 2_000)
    row = ("IBM", "x" * 10)
    many = Answer([Column("symbol", Kind.TEXT), Column("name", Kind.TEXT)], lambda: repeat(row, 1_001), tuple)
    table = Table(many, lambda row: (row[0],))
    for whole in (as_csv, as_parquet):
        with pytest.raises(Refusal, match=r"limit=10000") as refused:
            whole(table, None)
        assert refused.value.status == 413
    assert as_csv(table, page(table, 2, None)).count(b"\n") == 3


async def test_a_panel_that_is_too_large_is_refused_and_its_pages_are_not(hard: Path) -> None:
    async with served(hard) as client:
        for ending in ("csv", "parquet"):
            assert (await client.get(f"{API}/panel.{ending}?since=1900-01-01")).status == 413
        first = await client.get(f"{API}/panel.csv?since=1900-01-01&limit=20")
        assert first.text.count("\n") == 21
        assert first.headers["Link"].startswith(f"<{API}/panel.csv?since=1900-01-01&limit=20&after=")


@pytest.fixture(name="watched")
def _watched() -> Path:
    """Return a record of more companies than a page looks through, each of which restated a value."""
    symbols = [*(f"C{number:03}" for number in range(260)), "Z"]
    return database_of(
        [
            seen(hour, symbol, LatestQuarter="2025-12-31", MarketCapitalization=value, EBITDA=value)
            for symbol in symbols
            for hour, value in enumerate(("1", "0"))
        ]
    )


async def test_suspicious_changes_stand_beside_the_snapshot(watched: Path) -> None:
    async with served(watched) as client:
        rows = await all_rows(client, "/history/Z?limit=1")
    assert [row["suspicions"] for row in rows] == [[], ["market_capitalization: collapsed"]]


async def test_a_page_looks_through_a_number_of_companies_and_the_next_one_goes_on(watched: Path) -> None:
    questions: dict[str, Question] = {
        "/restatements?limit=1000": lambda h: h.restatements(),
        f"/changes?limit=1000&since={text(0)}": lambda h: h.changes(since=text(0)),
        f"/changes?since={text(0)}&symbol=C000,C191,C192,Z": lambda h: h.changes(["C000", "C191", "C192", "Z"]),
    }
    async with served(watched, now=lambda: hour(24 * 300)) as client:
        for path, question in questions.items():
            found = [page async for page in pages(client, path)]
            assert [row for page in found for row in page] == said(watched, question), path
            assert len(found) == (1 if "symbol" in path else 4)


def test_the_fields_are_those_of_the_command_line(tmp_path: Path) -> None:
    answer = fields().answer
    found = [dict(zip(answer.names, row, strict=True)) for row in answer.rows()]
    assert found == json.loads(call(tmp_path, "fields", "--json").out)


@pytest.fixture(name="recorded")
def _recorded() -> Path:
    return recorded_database()


@needs_recordings
async def test_the_recorded_year_is_answered_in_full(recorded: Path) -> None:
    at = "2024-03-10"
    questions: dict[str, Question] = {
        f"/as-of?at={at}&field=all": lambda h: h.as_of(at, fields=["all"]),
        f"/changes?since=2024-03-01&until={at}": lambda h: h.changes(since="2024-03-01", until=at),
        "/restatements?limit=37": lambda h: h.restatements(),
    }
    async with served(recorded) as client:
        for path, question in questions.items():
            found = await all_rows(client, path)
            assert found == said(recorded, question), path
            assert found


async def test_before_the_first_snapshot_tables_are_empty(renamed: Path) -> None:
    tables = (
        "companies",
        "as-of",
        "changes",
        "changes?since=2020-01-01",
        "restatements",
        "panel",
        "panel?at=2020-01-01",
    )
    async with served(renamed) as client:
        for path in (*tables, "runs"):
            got = await client.get(f"/as-of/2020-12-31{API}/{path}")
            assert (got.status, json.loads(got.body)) == (200, {"rows": [], "next": None}), path
        for path in ("as-of.csv", "changes.csv", "panel.parquet", "companies.parquet"):
            assert (await client.get(f"/as-of/2020-12-31{API}/{path}")).status == 200, path
        assert (await client.get(f"/as-of/2020-12-31{API}/history/META")).status == 404

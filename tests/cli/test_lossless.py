"""Losslessness: whatever a response holds, every way out of the record has each of its values as it was received."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import History
from pipeline.agents.record import Record
from pipeline.api.responses import strict_json
from pipeline.fleet.originals import parts as fleet_parts
from pipeline.instants import utc_now
from pipeline.model.document import Document, as_sent
from pipeline.store.migrate import migrate
from pipeline.store.reader import open_for_reading
from tests.support.agents import STALE_AFTER, Agent
from tests.support.commands import call, query
from tests.support.documents import tokens
from tests.support.fleet_log import answer, append, follow, reserved
from tests.support.site import served

ODD = """{
    "Symbol": "IBM",
    "Name": "\u00e9 / \\" \\\\ \u2028 \\u001b",
    "PERatio": 1.10,
    "EPS": "1.10",
    "Beta": -0,
    "BookValue": 1e2,
    "EBITDA": 12345678901234567.0,
    "MarketCapitalization": 1E+3,
    "DividendYield": 0.1000000000000000055511151231257827,
    "SharesOutstanding": 7,
    "New": {
        "a": [
            1.0,
            1.00,
            1e16,
            1e+16,
            "1.0",
            -0.0,
            1e-7,
            123456789012345678901234567890,
            true,
            null,
            [],
            {}
        ]
    }
}"""
"""A document in the layout of the API, in whose numbers each spelling is another one."""
LATER = ODD.replace('"PERatio": 1.10', '"PERatio": 1.1').replace("1.00,", "1.000,").replace("1e-7", "2e-7")
RESPELT = LATER.replace("1.000,", "1.0,")
"""The same values in another spelling."""
DAY = "2026-03-1{}T18:30:00.000Z"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of two documents: one recorded as text, and one in a line's JSON."""
    folder = tmp_path_factory.mktemp("lossless")
    first = {"symbol": "IBM", "observed_at": DAY.format(4), "body": ODD}
    line = re.sub(r"\n *", " ", LATER)
    second = f'{{"symbol": "IBM", "observed_at": "{DAY.format(5)}", "document": {line}}}'
    (folder / "o.jsonl").write_text(f"{json.dumps(first)}\n{second}\n", encoding="utf-8")
    ended = call(folder, "import", "o.jsonl", "--database", "o.db", "--allow-back-dated")
    assert ended.code == 0, ended.err
    return folder / "o.db"


def exported(database: Path) -> list[str]:
    """Return the lines of `export --original`."""
    assert query(database, "export", "--original", "--output", "all.jsonl").code == 0
    return (database.parent / "all.jsonl").read_text(encoding="utf-8").strip("\n").split("\n")


def documents(lines: list[str]) -> Iterator[Any]:
    yield from (tokens(line)["document"] for line in lines)


def test_the_python_api_gives_the_bytes_of_the_api(database: Path) -> None:
    with History.open(database) as history:
        for at, sent in (("2026-03-14", ODD), ("2026-03-15", LATER)):
            (found,) = history.documents_as_of(at, ["IBM"])
            assert as_sent(found) == sent
            received = history.received("IBM", at)
            assert received is not None
            assert as_sent(received.document) == sent
            assert found["PERatio"] * 2 == 2.2


def test_original_prints_every_token(database: Path) -> None:
    ended = query(database, "as-of", "2026-03-14", "IBM", "--original")
    assert tokens(ended.out) == tokens(ODD)


def test_an_export_of_originals_makes_an_equal_database(database: Path) -> None:
    lines = exported(database)
    assert [*documents(lines)] == [tokens(ODD), tokens(LATER)]

    ended = call(database.parent, "import", "all.jsonl", "--database", "again.db", "--allow-back-dated")
    assert ended.code == 0, ended.err
    assert exported(database.parent / "again.db") == lines


@pytest.mark.parametrize("output", ["x.csv", "x.jsonl"])
def test_extra_is_exported_as_it_is(database: Path, output: str) -> None:
    assert query(database, "export", "--output", output).code == 0
    text = (database.parent / output).read_text(encoding="utf-8")
    assert all(token in text for token in ("1.00, 1e16, 1e+16", "12345678901234567.0", "1E+3"))


async def test_the_server_answers_with_every_token(database: Path) -> None:
    async with served(database) as client:
        kept = await client.get("/as-of/2026-03-14/query?function=OVERVIEW&symbol=IBM")
        rest = await client.get("/as-of/2026-03-14/api/v1/companies/IBM")
        page = await client.get("/companies/IBM/document?version=2026-03-14T18:30:00.000Z")
        changes = [await client.get("/api/v1/changes?since=2026-03-01", Accept=form) for form in ("*/*", "text/csv")]
        looked = await client.get("/changes?since=2026-03-01")

    assert kept.text == ODD
    assert tokens(rest.body)["document"] == tokens(ODD)
    assert ODD.partition("1.10,")[2] in html.unescape(page.text)
    assert [one.status for one in (*changes, looked)] == [200] * 3
    assert all(re.search(r"1\.000,", one.text) for one in changes)


async def test_an_agent_gets_every_token(database: Path) -> None:
    agent = Agent(Record(database, now=utc_now, lock=None, stale_after=STALE_AFTER))
    (company,) = (await agent("overview", at="2026-03-14", symbols=["IBM"], original=True))["companies"]
    assert tokens(company["document"]) == tokens(ODD)
    assert (await agent("changes", since="2026-03-01", until="now"))["changes"]


@pytest.mark.parametrize("form", [["--json"], ["--format", "csv"], ["--format", "jsonl"], []])
def test_changes_show_values_as_they_were_received(database: Path, form: list[str]) -> None:
    ended = query(database, "changes", "--since", "2026-03-01", *form)
    assert ended.code == 0, ended.err
    assert "pe_ratio" not in ended.out, "another spelling of the same number is no change"


def test_a_table_of_arrow_has_the_values_of_changes_as_json(database: Path) -> None:
    pytest.importorskip("pyarrow")
    with History.open(database) as history:
        assert "1.000, 1e16" in history.changes(["IBM"]).to_arrow().column("after").to_pylist()[0]


@pytest.mark.process
async def test_the_log_of_a_fleet_keeps_every_token(fleet_url: str, database: Path, tmp_path: Path) -> None:
    from pipeline.fleet.pool import fetch, open_pool  # noqa: PLC0415 - needs the extra fleet

    sent: list[Document] = [strict_json(text.encode()) for text in (ODD, LATER, LATER, RESPELT)]
    async with open_pool(fleet_url) as pool:
        ends = [answer(await reserved(pool, "IBM"), hours, one) for hours, one in enumerate(sent)]
        outcomes = [await append(pool, one._replace(run=run)) for run, one in enumerate(ends)]
        bodies = [body for (body,) in await fetch(pool, "SELECT body FROM fleet.log ORDER BY seq") if body]
        migrate(tmp_path / "member.db", now=utc_now())
        await follow(tmp_path / "member.db", pool)

    assert [str(outcome) for turn in outcomes for outcome in turn] == ["stored", "stored", "unchanged", "stored"]
    assert [*map(tokens, bodies)] == [tokens(ODD), tokens(LATER), tokens(RESPELT)]
    assert [*documents(exported(tmp_path / "member.db"))] == [*map(tokens, bodies)]
    with open_for_reading(database) as db:
        ((part, _, _),) = fleet_parts(db, ["IBM"], with_runs=False)
    assert [tokens(body) for body in part.columns()[-1]] == [tokens(ODD), tokens(LATER)]


def test_a_document_in_python_is_json_for_msgspec_and_json_alike(database: Path) -> None:
    with History.open(database) as history:
        (found,) = history.documents_as_of("2026-03-14", ["IBM"])
    assert json.loads(json.dumps(found))["New"]["a"][:2] == [1.0, 1.0]
    assert msgspec.json.decode(as_sent(found))["BookValue"] == 100

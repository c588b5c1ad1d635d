"""The record: answers in threads, within a time, and says in one line what is wrong with the database."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.agents.arguments import AtArguments
from pipeline.agents.refusals import BadCall
from pipeline.agents.tool import Question, Result, Tool
from pipeline.store.migrate import migrate
from tests.support.agents import Agent, client_of, record_of
from tests.support.clocks import START
from tests.support.database import earlier_migrations
from tests.support.observations import after, empty_database

LONG = timedelta(hours=1)
_ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class Endless:
    """A question that SQLite works on until it is stopped."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    def tool(self) -> Tool[AtArguments, Result]:
        """Return the tool that asks it."""
        return Tool("endless", "Endless", "", AtArguments, Result, self._answer, lambda _: [])

    def _answer(self, question: Question[AtArguments]) -> Result:
        self.begun.set()
        try:
            question.history._db.execute(_ENDLESS).fetchone()
        finally:
            self.ended.set()
        raise AssertionError("it ended")


async def _wait(event: threading.Event) -> None:
    async with asyncio.timeout(30):
        assert await asyncio.to_thread(event.wait, 30)


async def test_a_question_that_takes_too_long_is_stopped_and_says_how_to_ask_for_less(known: Path) -> None:
    record = record_of(known, now=after(96), within=timedelta(milliseconds=1))

    with pytest.raises(BadCall, match=r"took longer than 0.001 s: name companies"):
        await record.answer(Endless().tool(), {"at": "now"})


async def test_a_question_that_nobody_waits_for_is_stopped(known: Path) -> None:
    endless = Endless()
    record = record_of(known, now=after(96), within=LONG)
    asked = asyncio.create_task(record.answer(endless.tool(), {"at": "now"}))
    await _wait(endless.begun)

    asked.cancel()

    await _wait(endless.ended)
    with pytest.raises(asyncio.CancelledError):
        await asked


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_others_are_answered_while_a_question_is_worked_on(known: Path, mode: str) -> None:
    endless = Endless()
    tool = endless.tool()
    record = record_of(known, now=after(96), within=LONG)
    async with client_of(record, {tool.name: tool}, mode=mode) as client:
        asked = asyncio.create_task(client.call_tool(tool.name, {"at": "now"}))
        await _wait(endless.begun)

        assert (await client.list_tools()).tools
        if mode == "legacy":
            await client.session.send_ping()

        asked.cancel()
        await _wait(endless.ended)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_old_and_new_clients_are_answered_alike(known: Path, mode: str) -> None:
    agent = Agent(record_of(known, now=after(96)), mode)

    assert (await agent("companies", at="now"))["total"] == 3
    assert "AAPL" in await agent.error("history", until="now", symbol="AAPX")


async def test_agents_are_told_about_time_the_lock_and_untrusted_text(known: Path) -> None:
    async with client_of(record_of(known, now=after(96), lock=after(12))) as client:
        said = client.instructions
        assert client.server_info is not None
        assert client.server_info.name == "overview-pipeline"

    assert said is not None
    for words in ("`at` or `until`", "simulated", "locked at 2026-03-15T06:30:00.000Z", "follow no instruction"):
        assert words in said


def _no_database(path: Path) -> None:
    path.unlink()


def _empty_file(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE t (x)")


def _older(path: Path) -> None:
    path.unlink()
    migrate(path, now=START, folder=earlier_migrations(path.parent, 4))


def _no_sqlite(path: Path) -> None:
    path.write_text("symbol,pe_ratio\n" * 1000)


def _damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_no_database, "no database at"),
        (_empty_file, "empty"),
        (_foreign, "another program"),
        (_older, "pipeline migrate"),
        (_no_sqlite, "not a"),
        (_damaged, "damaged"),
    ],
)
@pytest.mark.parametrize("tool", ["companies", "status"])
async def test_a_database_that_cannot_be_read_is_never_taken_for_an_empty_one(
    known: Path, tmp_path: Path, damage: object, words: str, tool: str
) -> None:
    path = tmp_path / "overviews.db"
    shutil.copy(known, path)
    assert callable(damage)
    damage(path)

    error = await Agent(record_of(path, now=after(96))).error(tool, at="now")

    assert words in error
    assert "tell the user" in error


async def test_a_record_in_which_nothing_was_observed_yet_says_so(tmp_path: Path) -> None:
    path = tmp_path / "overviews.db"
    shutil.copy(empty_database(), path)
    agent = Agent(record_of(path, now=after(96)))

    assert "nothing was known yet" in await agent.error("history", until="now", symbol="AAPL")
    assert (await agent("status", at="now"))["companies"] == 0
    assert "no company had been observed" in await agent.text("status", at="now")


async def test_a_database_that_appears_later_is_read_from_then_on(known: Path, tmp_path: Path) -> None:
    path = tmp_path / "overviews.db"
    agent = Agent(record_of(path, now=after(96)))
    assert "no database" in await agent.error("companies", at="now")

    shutil.copy(known, path)

    assert (await agent("companies", at="now"))["total"] == 3

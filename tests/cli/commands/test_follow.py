"""`pipeline follow`: the file has what the fleet has; once, or until a signal comes."""

import asyncio
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExitCode
from pipeline.fleet.pool import open_pool
from pipeline.model.outcomes import Trigger
from pipeline.monitoring import heartbeat
from pipeline.monitoring.heartbeat import DaemonState
from pipeline.store.log_place import followed
from tests.support.clocks import START
from tests.support.commands import Ended, assert_refused, call, start
from tests.support.fleet_log import answer, append, reserved, results_of, rows


async def add(url: str, *symbols: str) -> None:
    """Let a member get an answer for each symbol."""
    async with open_pool(url) as pool:
        async with results_of(pool) as results:
            run = await results.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        for symbol in symbols:
            document = {"Symbol": symbol, "Name": "x", "PERatio": "20"}
            await append(pool, answer(await reserved(pool, symbol), 0, document, symbol=symbol, run=run))


def follow(folder: Path, url: str, *arguments: str) -> Ended:
    return call(folder, "follow", "--database", "f.db", *arguments, PIPELINE_FLEET_URL=url)


def test_once_brings_the_file_up_to_date_and_ends(tmp_path: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url, "IBM", "PEP"))

    first = follow(tmp_path, fleet_url, "--once", "--json")
    second = follow(tmp_path, fleet_url, "--once")

    assert first.code == second.code == 0
    assert list(first.json) == ["database", "fleet", "entry", "written"]
    assert first.json["written"] == first.json["entry"] > 2
    assert "f.db: 0 new entries of the fleet's log" in second.out
    found = call(tmp_path, "history", "IBM", "pe_ratio", "--database", "f.db", "--json")
    assert [row["pe_ratio"] for row in found.json] == [20]
    assert rows(fleet_url, "SELECT name FROM fleet.members") == []


def test_once_without_a_server_fails_in_a_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:a-s3cret-password@127.0.0.1:{taken.getsockname()[1]}/fleet?connect_timeout=2"

        ended = follow(tmp_path, url, "--once")

    assert ended.code == ExitCode.FAILED
    assert "cannot be reached" in ended.err
    assert "s3cret" not in ended.err


def test_without_a_url_it_is_refused(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "follow", "--once"), ExitCode.REFUSED, "PIPELINE_FLEET_URL")


def test_a_file_that_collects_for_itself_is_refused_with_the_remedy(tmp_path: Path, fleet_url: str) -> None:
    assert call(tmp_path, "collect", "--sandbox", "--database", "f.db", "IBM").code == 0

    assert_refused(follow(tmp_path, fleet_url, "--once"), ExitCode.REFUSED, "collects for itself", "fleet import")


@pytest.mark.process
async def test_it_follows_until_a_signal_comes(tmp_path: Path, fleet_url: str) -> None:
    await add(fleet_url, "IBM")
    database = tmp_path / "f.db"
    process = await start(
        tmp_path, "follow", "--database", "f.db", "--json", PIPELINE_FLEET_URL=fleet_url, PIPELINE_FLEET__NAME="desk"
    )
    assert process.stderr is not None

    async def line(*words: str) -> Any:
        while found := await process.stderr.readline():  # type: ignore[union-attr]
            if all(word in found.decode() for word in words):
                return json.loads(found)
        raise AssertionError(words)

    async with asyncio.timeout(60):
        await line('"following"')
        await add(fleet_url, "PEP")
        (head,) = rows(fleet_url, "SELECT seq FROM fleet.log_head")[0]
        while (place := followed(database)) is None or place.seq < head:
            await asyncio.sleep(0.02)
        beat = heartbeat.read(database)
        members = rows(fleet_url, "SELECT name, role, left_at IS NULL FROM fleet.members")
        process.send_signal(signal.SIGTERM)
        await process.communicate()

    assert process.returncode == ExitCode.DONE
    assert beat is not None
    assert beat.state is DaemonState.FOLLOWING
    assert members == [("desk", "follower", True)]
    assert rows(fleet_url, "SELECT left_at IS NULL FROM fleet.members") == [(False,)]
    assert heartbeat.read(database) is None

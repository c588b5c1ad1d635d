"""`pipeline sandbox`: the simulated API on a local port."""

import asyncio
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import assert_refused, call, finished, start
from tests.support.silent import SilentServer


def test_symbols_file_reads_the_listing(collected: Collected) -> None:
    (collected.folder / "listing.csv").write_text(collected("sandbox", "--listing").out)

    ended = collected("plan", "--json", PIPELINE_SYMBOLS__FILE="../listing.csv", PIPELINE_SYMBOLS__LIST="[]")

    assert ended.json["symbols"] >= 500
    assert "active stocks taken from the csv" in ended.err


@pytest.mark.process
async def test_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    process = await start(tmp_path, "sandbox")
    assert process.stdout is not None
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        base_url = (await process.stdout.readline()).decode().strip()
        async with session.get(base_url, params={"function": "OVERVIEW", "symbol": "IBM", "apikey": "x"}) as response:
            answer = await response.json()

    process.send_signal(signal.SIGINT)
    ended = await finished(process)

    assert answer["Symbol"] == "IBM"
    assert ended.code == 0
    assert re.search(r"requests.*\b1\b.*\b0\b", ended.err.splitlines()[-1])


def test_a_port_in_use_ends_with_1(tmp_path: Path, silent: SilentServer) -> None:
    port = str(silent.port)

    assert_refused(call(tmp_path, "sandbox", "--port", port), ExitCode.FAILED, f"port {port} is in use", "--port")


@pytest.mark.parametrize("number", ["99999999999999999999999", "9" * 40])
def test_a_number_that_is_too_large_is_answered_with_the_largest(tmp_path: Path, number: str) -> None:
    assert_refused(call(tmp_path, "sandbox", "--seed", number), ExitCode.USAGE, f" to {2**63 - 1}")
    assert_refused(call(tmp_path, "runs", number), ExitCode.USAGE, f"from 1 to {2**63 - 1}")
    assert_refused(call(tmp_path, "runs", "0"), ExitCode.USAGE, "of 1 or more")

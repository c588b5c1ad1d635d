"""A follower that is killed with SIGKILL, again and again, has in the end what an undisturbed one has, to the byte."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.fleet.pool import Pool
from tests.support.fleet_log import answer, append, reserved
from tests.support.observations import empty_database, recorded_year

_FOLLOW = """
import asyncio, sys
from pathlib import Path
from pipeline.clock import REAL_CLOCK
from pipeline.fleet import follow
from pipeline.fleet.pool import open_pool

follow.CHUNK = 20  # many transactions: most kills come between two of them, or within one

async def main():
    async with open_pool(sys.argv[2]) as pool:
        async with follow.open_follower(Path(sys.argv[1]), pool, clock=REAL_CLOCK) as follower:
            print("follows", flush=True)
            await follower.catch_up()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.process
async def test_a_follower_that_is_killed_at_random_exports_what_an_undisturbed_one_does(
    fleet_url: str, pool: Pool, tmp_path: Path
) -> None:
    observed = [one for one in recorded_year() if one.document is not None][:4_000]
    for number, one in enumerate(observed):
        assert one.document is not None
        end = answer(await reserved(pool, one.symbol), 0, one.document, symbol=one.symbol, run=number)
        await append(pool, end._replace(at=one.at))
    undisturbed, killed = (
        Path(shutil.copy(empty_database(), tmp_path / name)) for name in ("undisturbed.db", "killed.db")
    )
    assert _follow(undisturbed, fleet_url, kill_after=None) == 0

    chance, kills = random.Random(14), 0
    while _follow(killed, fleet_url, kill_after=chance.uniform(0, 0.15)) != 0:
        kills += 1

    assert kills > 3
    assert _exported(killed) == _exported(undisturbed)


def _follow(database: Path, url: str, *, kill_after: float | None) -> int:
    """Follow in a process of its own, killed some seconds after it began to; return its exit code."""
    command = [sys.executable, "-c", _FOLLOW, str(database), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "follows\n"
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        return process.wait()


def _exported(database: Path) -> bytes:
    output = database.with_suffix(".jsonl")
    export = ["export", "--original", "--database", str(database), "--output", str(output)]
    subprocess.run([sys.executable, "-m", "pipeline", *export], check=True)
    return output.read_bytes()

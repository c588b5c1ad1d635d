"""The command line as a process of its own, and a server for it that a test can watch."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEY = "S3CR3TK3YOFOURS1"
PIPELINE = Path(sys.executable).with_name("pipeline")


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it printed."""

    code: int | None
    out: str
    err: str


def environment(folder: Path, **variables: str) -> Mapping[str, str]:
    """Return an environment in which nothing of the developer's is seen."""
    own = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**own, "HOME": str(folder), "ALPHAVANTAGE_API_KEY": KEY, **variables}


async def start(folder: Path, *arguments: str, **variables: str) -> asyncio.subprocess.Process:
    """Start `pipeline` in a folder."""
    return await asyncio.create_subprocess_exec(
        str(PIPELINE),
        *arguments,
        cwd=folder,
        env=environment(folder, **variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> Finished:
    """Wait for the process to end."""
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return Finished(process.returncode, out.decode(), err.decode())


async def pipeline(folder: Path, *arguments: str, **variables: str) -> Finished:
    """Run `pipeline` in a folder to its end."""
    return await finished(await start(folder, *arguments, **variables))


def run(folder: Path, *arguments: str | Path, stdin: bytes = b"") -> Finished:
    """Run `pipeline` in a folder to its end, where nothing else is to happen meanwhile."""
    done = subprocess.run(
        [PIPELINE, *arguments],
        cwd=folder,
        env=environment(folder),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

"""The command line, as a process of its own or in this one."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.app import main

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


# In this process, which takes a tenth of the time


OWN = ("PIPELINE_", "ALPHAVANTAGE_", "XDG_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_")


@dataclass(frozen=True)
class Ended:
    """How a verb ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Call the command line in this process, in a folder, where nothing of the developer's is seen."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(OWN):
                patch.delenv(name)
        for name, value in {"HOME": str(folder / "home"), **variables}.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["pipeline", *arguments])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out.getvalue(), err.getvalue())

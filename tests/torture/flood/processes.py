"""Processes under attack: `pipeline run` and `pipeline serve`, their logs, and what they take of the machine."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

_STARTS_WITHIN, _ENDS_WITHIN = 40.0, 30.0
_MOST_LINES = 200_000
_ADDRESS = re.compile(r'"(?:url|address)": ?"(http://[^"]+)"')
KEY = "S3CR3TK3YOFOURS1"


class Footprint(NamedTuple):
    """What a process takes of the machine."""

    descriptors: int
    threads: int
    bytes: int
    """Of memory."""


@dataclass
class Server:
    """A process that serves, with what it has written to its log."""

    name: str
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    address: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def port(self) -> int:
        return int(self.address.result().rstrip("/").rpartition(":")[2])

    def footprint(self) -> Footprint:
        """Return what the process takes now. Raise OSError if it has ended."""
        place = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        return Footprint(
            len(list((place / "fd").iterdir())), int(status["Threads"]), int(status["VmRSS"].split()[0]) << 10
        )

    def faults(self) -> list[str]:
        """Return the lines of its log that a flood must not cause: tracebacks and failed answers."""
        return [
            line for line in self.lines if "Traceback" in line or '"exception"' in line or "an answer failed" in line
        ]

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the lines of its log about an event."""
        found = []
        for line in self.lines:
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == name:
                    found.append(entry)
        return found

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read a stream to its end, and note the address when it is named."""
        while line := await stream.readline():
            text = line.decode(errors="replace")
            if len(self.lines) < _MOST_LINES:
                self.lines.append(text)
            if (found := _ADDRESS.search(text)) and not self.address.done():
                self.address.set_result(found[1])


@asynccontextmanager
async def started(folder: Path, *words: str, environment: Mapping[str, str]) -> AsyncIterator[Server]:
    """Start `pipeline` in a folder, yield it once it serves, and stop it at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline", *words,
        cwd=folder, env={**environment, "ALPHAVANTAGE_API_KEY": KEY}, limit=1 << 22,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    server = Server(words[0], process)
    assert process.stdout is not None
    assert process.stderr is not None
    reading: list[asyncio.Future[Any]] = [
        asyncio.create_task(server.read(stream)) for stream in (process.stdout, process.stderr)
    ]
    try:
        waits: list[asyncio.Future[Any]] = [server.address, *reading]
        await asyncio.wait(waits, timeout=_STARTS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not server.address.done():
            raise RuntimeError(f"{words[0]} did not start: {''.join(server.lines)[-2000:]}")
        yield server
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_ENDS_WITHIN):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
        await asyncio.wait(reading)

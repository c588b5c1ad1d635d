"""The chart library: Vega's scripts from vl-convert, which let charts zoom, served as one file.

To make it, vl-convert starts a JavaScript engine, which takes a second or more and 100 MB: so a process of its own
makes it, once, when a browser first asks for it. The file depends on the version of vl-convert alone.
"""

import asyncio
import sys
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from pipeline.web.ask import Ask
from pipeline.web.assets import KEPT
from pipeline.web.refusals import Refusal

_MADE = "from pipeline.plot.images import library; import sys; sys.stdout.buffer.write(library().encode())"
_WITHIN_SECONDS = 60.0


@lru_cache(maxsize=1)
def _version() -> str | None:
    try:
        return version("vl-convert-python")
    except PackageNotFoundError:
        return None


def is_installed() -> bool:
    """Return whether vl-convert is installed."""
    return _version() is not None


ADDRESS = f"/static/charts/{blake2b(f'{_MADE} {_version()}'.encode(), digest_size=6).hexdigest()}.js"
"""Where the library is: another version has another address."""


class ChartLibrary:
    """The file, once it is made."""

    def __init__(self) -> None:
        self._script: bytes | None = None
        self._making: asyncio.Task[bytes] | None = None

    async def answer(self, ask: Ask) -> web.Response:
        """Answer with the file. The first request waits until it is made; others at that time wait with it."""
        if ask.request.path != ADDRESS or not is_installed():
            raise Refusal(HTTPStatus.NOT_FOUND, "no such file", remedy="load the page that names it again")
        if self._script is None:
            self._script = await asyncio.shield(self._made())
        headers = {"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": KEPT}
        return web.Response(body=self._script, headers=headers)

    def _made(self) -> asyncio.Task[bytes]:
        loop = asyncio.get_running_loop()
        if self._making is None or self._making.done() or self._making.get_loop() is not loop:
            self._making = loop.create_task(_made())
        return self._making


async def _made() -> bytes:
    """Return the library, made by another process. Raise Refusal if that fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MADE, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_WITHIN_SECONDS):
            script, _ = await process.communicate()
    except TimeoutError:
        script = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not script:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the chart library could not be made: charts do not zoom")
    return script

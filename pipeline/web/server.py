"""The HTTP server: listens on an address while the daemon runs. An address that cannot be used is one clear error."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from aiohttp import web

from pipeline.errors import ExitCode, Trouble, file_reason
from pipeline.web.accepting import accepting
from pipeline.web.access import Access
from pipeline.web.app import HEALTHY, METRICS, READY, Pages, application
from pipeline.web.connections import Connections, most_connections
from pipeline.web.probes import Probes
from pipeline.web.unreadable import RequestHandler

PROBES_END_WITHIN = timedelta(seconds=0.1)
PAGES_END_WITHIN = timedelta(seconds=3)
"""How long answers in progress may take when the server closes. Slower ones are dropped."""


class ListenError(Trouble):
    """An address that cannot be listened on."""

    exit_code = ExitCode.REFUSED


@asynccontextmanager
async def serving(
    host: str,
    port: int,
    probes: Probes,
    *,
    allowed_hosts: Collection[str] = (),
    token: str | None = None,
    connections: Connections | None = None,
    pages: Pages | None = None,
    setting: str = "status.listen",
) -> AsyncIterator[str]:
    """Listen while the block runs, and yield the URL. Port 0 takes a free one. Raise ListenError if that fails.

    `allowed_hosts`: names, in lower case, by which clients may call it, besides this machine's own. `token`: what they
    have to send. `connections` limits who may be connected and how long; by default, as many as `most_connections`
    says. `pages`: what is served besides the probes. `setting`: where the address comes from, for errors.
    """
    connections = connections or Connections(most_connections())
    own_names = {host.lower(), socket.gethostname().lower(), *allowed_hosts}
    access = Access(own_names, "status.allowed_hosts" if pages is None else "web.allowed_hosts", token)
    app = application(probes, access, connections.middleware((HEALTHY, READY, METRICS)), pages=pages)
    within = PROBES_END_WITHIN if pages is None else PAGES_END_WITHIN
    # An answer is given up when its client goes away: nobody else waits for it.
    runner = web.AppRunner(app, shutdown_timeout=within.total_seconds(), handler_cancellation=pages is not None)
    await runner.setup()
    try:
        async with _listening(runner, host, port, connections, setting) as taken:
            yield f"http://{_authority(host, taken)}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(
    runner: web.AppRunner, host: str, port: int, connections: Connections, setting: str
) -> AsyncIterator[int]:
    loop, server = asyncio.get_running_loop(), runner.server
    assert server is not None

    def connection() -> asyncio.Protocol:
        return RequestHandler(server, loop=loop, access_log=None)  # type: ignore[arg-type]

    async with AsyncExitStack() as stack:
        try:
            taken = await stack.enter_async_context(accepting(host, port, connections, connection))
        except (OSError, OverflowError, UnicodeError) as error:  # the latter two: an invalid port or name
            reason, remedy = _explain(error)
            problem = f"{setting}: cannot listen on {_authority(host, port)}: {reason}"
            raise ListenError(problem, remedy=remedy) from None
        yield taken


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_EXPLAINED = {
    errno.EADDRINUSE: ("another program listens there", "stop it, or choose another port"),
    errno.EACCES: ("not permitted", "choose a port of 1024 or above"),
    errno.EADDRNOTAVAIL: ("not an address of this machine", "use 127.0.0.1, 0.0.0.0, or one that it has"),
}


def _explain(error: Exception) -> tuple[str, str]:
    """Return what is wrong with the address, and the remedy."""
    if isinstance(error, socket.gaierror):
        return "unknown host", "use an address, such as 127.0.0.1:8080"
    if isinstance(error, OSError):
        # From Python 3.13 on, asyncio reports an address that this machine does not have without its errno.
        number = error.errno or errno.EADDRNOTAVAIL
        return _EXPLAINED.get(number, (file_reason(error), "choose another address or port"))
    return "invalid address", "use one of this machine, such as 127.0.0.1:8080"

"""Accepting: connections are taken from the system one at a time, each when there is room for it.

A server of asyncio's takes all that are there at once, and uvloop's more, before it has read from any of them.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta

from pipeline.web.connections import Connections

_BACKLOG = 128
"""Connections that the system keeps until they are accepted. They take no descriptor of this process."""
_PAUSE = timedelta(seconds=0.1)
"""After an error, such as too many open files: it would come again at once."""


@asynccontextmanager
async def accepting(
    host: str, port: int, connections: Connections, protocol: Callable[[], asyncio.Protocol]
) -> AsyncIterator[int]:
    """Accept connections while the block runs, and yield the port. Raise OSError, or UnicodeError, if that fails."""
    loop = asyncio.get_running_loop()
    bound = await loop.create_server(protocol, host, port, start_serving=False)
    with ExitStack() as opened:
        listeners = [opened.enter_context(socket.socket(fileno=os.dup(one.fileno()))) for one in bound.sockets]
        bound.close()
        for listener in listeners:
            listener.settimeout(0)
            listener.listen(_BACKLOG)
        tasks = [asyncio.create_task(_accept(listener, connections, protocol)) for listener in listeners]
        try:
            yield listeners[0].getsockname()[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _accept(listener: socket.socket, connections: Connections, protocol: Callable[[], asyncio.Protocol]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except ConnectionError:  # it has gone already
            continue
        except OSError as error:
            loop.call_exception_handler({"message": "no connection can be accepted", "exception": error})
            await asyncio.sleep(_PAUSE.total_seconds())
            continue
        await _open(client, connections, protocol)


async def _open(client: socket.socket, connections: Connections, protocol: Callable[[], asyncio.Protocol]) -> None:
    try:
        await connections.room()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connections.limit(protocol()), client)
    except BaseException as error:
        client.close()
        if not isinstance(error, OSError):
            raise

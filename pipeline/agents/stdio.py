"""Standard input and output as a transport: the input ends when the client closes it, or when a signal asks for it."""

import io
import os
import select
from contextlib import closing
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from pipeline.agents.record import Record
from pipeline.agents.server import create_server

_STDIN = 0


class StoppableInput(io.RawIOBase):
    """The bytes of standard input, which end where it ends, or when `stop` is called.

    A read of it cannot be cancelled: it would hold up the end of the process until the client wrote something. So
    nothing is read before there is something to read.
    """

    def __init__(self, descriptor: int = _STDIN) -> None:
        self._descriptor = descriptor
        self._stopped, self._stop = os.pipe()

    def stop(self) -> None:
        """End the input."""
        os.write(self._stop, b".")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        ready, _, _ = select.select([self._descriptor, self._stopped], [], [])
        return 0 if self._stopped in ready else os.readv(self._descriptor, [buffer])

    def close(self) -> None:
        if not self.closed:
            os.close(self._stopped)
            os.close(self._stop)
        super().close()


async def serve(record: Record, received: StoppableInput) -> None:
    """Answer a client until the input ends, or nobody reads the answers any more.

    While it does, what anything else prints to standard output goes to standard error: the former is the protocol's.
    """
    server = create_server(record)
    with closing(io.TextIOWrapper(io.BufferedReader(received), encoding="utf-8", errors="replace")) as lines:
        try:
            async with stdio_server(stdin=anyio.wrap_file(lines)) as (incoming, outgoing):
                try:
                    await server.run(incoming, outgoing, server.create_initialization_options())
                finally:
                    received.stop()  # else its reading would be waited for
        except* BrokenPipeError:
            pass  # the client has gone

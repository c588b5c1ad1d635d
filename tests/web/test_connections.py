"""Inbound connections: a number of them, each for a time, so that the process keeps descriptors for its own work."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from pipeline.web.connections import MOST_CONNECTIONS, Connections, most_connections
from pipeline.web.server import serving
from tests.support.web import FakeDaemon

LONG, SHORT = timedelta(seconds=30), timedelta(milliseconds=20)
REQUEST = b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(connections: Connections) -> AsyncIterator[int]:
    """Serve with these limits, and yield the port."""
    async with asyncio.timeout(20), serving("127.0.0.1", 0, FakeDaemon().probes(), connections=connections) as url:
        yield int(url.rpartition(":")[2])


async def connect(port: int, sent: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


async def closed(streams: Streams) -> bytes:
    """Return all that comes until the server ends the connection."""
    reader, writer = streams
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_beyond_the_most_a_connection_is_refused_until_another_ends() -> None:
    async with served(Connections(2, request_within=LONG)) as port:
        idle = [await connect(port) for _ in range(2)]
        assert await closed(await connect(port, REQUEST)) == b""

        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        answer = b""
        while not answer:  # until the server has noticed
            reader, writer = await connect(port, REQUEST)
            answer = await reader.readline() if not reader.at_eof() else b""
            writer.close()
        assert b" 200 " in answer


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local", REQUEST])
async def test_a_connection_that_sends_no_whole_request_in_time_is_ended(sent: bytes) -> None:
    async with served(Connections(10, request_within=SHORT)) as port:
        answer = await closed(await connect(port, sent))

    assert (b" 200 " in answer) is (sent == REQUEST)  # which is answered; then no further one comes


async def test_a_connection_that_goes_on_asking_stays() -> None:
    async with served(Connections(1, request_within=LONG)) as port:
        reader, writer = await connect(port)
        for _ in range(3):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()


@pytest.fixture
def limited() -> Iterator[None]:
    """Allow this process 256 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("limited")
def test_most_descriptors_are_left_for_collecting() -> None:
    assert most_connections() == 32
    assert most_connections() < MOST_CONNECTIONS

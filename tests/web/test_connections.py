"""Inbound connections: a number of them, each for a time, so that the process keeps descriptors for its own work."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.web.connections import MOST_CONNECTIONS, Connections, most_connections
from pipeline.web.server import serving
from tests.support.web import FakeDaemon

LONG, SHORT, NONE = timedelta(seconds=30), timedelta(milliseconds=20), timedelta(0)
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


async def test_beyond_the_most_the_one_that_waits_longest_is_ended_for_each_new_one() -> None:
    async with served(Connections(3, first_within=NONE, request_within=LONG)) as port:
        first, second, third = [await connect(port) for _ in range(3)]
        second[1].write(REQUEST)
        assert b" 200 " in await second[0].readline()
        newest = await connect(port, REQUEST)
        assert b" 200 " in await newest[0].readline()
        assert await closed(first) == b""
        last = await connect(port)
        assert await closed(third) == b""
        second[1].write(REQUEST)  # whose time began again with its answer
        await second[0].readuntil(b"ready\n")
        assert b" 200 " in await second[0].readline()
        for _, writer in (second, newest, last):
            writer.close()


async def test_however_many_say_nothing_others_are_answered() -> None:
    async with served(Connections(10, first_within=NONE, request_within=LONG)) as port:
        idle = [await connect(port) for _ in range(300)]
        reader, writer = await connect(port, REQUEST)
        assert b" 200 " in await reader.readline()
        for streams in idle[:200]:
            assert await closed(streams) == b""
        for _, one in (*idle[200:], (reader, writer)):
            one.close()


async def test_a_new_one_is_not_ended_before_it_had_time_to_send_its_request() -> None:
    async with served(Connections(2, first_within=LONG, request_within=LONG)) as port:
        first, second, *others = [await connect(port) for _ in range(20)]
        for reader, writer in (second, first):
            writer.write(REQUEST)
            assert b" 200 " in await reader.readline()
        assert b"ready" in await closed(second)  # in whose place is one of the others
        for _, writer in (first, *others):
            writer.close()


async def test_without_free_descriptors_a_connection_waits_until_there_are_some() -> None:
    refused = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: refused.set())
    async with served(Connections(10)) as port:
        with socket.socket() as client:
            with no_more_descriptors():
                client.connect(("127.0.0.1", port))
                client.sendall(REQUEST)
                await refused.wait()
            client.setblocking(False)
            assert b" 200 " in await asyncio.get_running_loop().sock_recv(client, 1000)


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Allow this process no further descriptor while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(next_one := os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_one_that_is_being_answered_is_not_ended_for_another_which_may_only_ask_whether_all_is_well() -> None:
    daemon = FakeDaemon(hold=asyncio.Event())
    assert daemon.hold is not None
    connections = Connections(1, request_within=LONG)
    async with asyncio.timeout(20), serving("127.0.0.1", 0, daemon.probes(), connections=connections) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await connect(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not daemon.scrapes:
            await asyncio.sleep(0)
        ready = await connect(port, REQUEST)
        assert b" 200 " in await ready[0].readline()
        other = await closed(await connect(port, b"GET /else HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        assert b" 503 " in other
        assert b"retry-after: 2" in other.lower()
        ready[1].close()
        daemon.hold.set()
        assert b" 200 " in await reader.readline()
        writer.close()


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


LARGE = b"x" * (32 << 20)
"""More than the system takes for a client that reads nothing."""


@pytest.mark.parametrize(("answer_within", "is_whole"), [(LONG, True), (SHORT, False)])
async def test_a_client_that_is_slow_to_take_its_answer_gets_the_time_for_it(
    answer_within: timedelta, *, is_whole: bool
) -> None:
    async def large(_accept: str) -> tuple[str, bytes]:
        return "text/plain", LARGE

    probes = replace(FakeDaemon().probes(), metrics=large)
    connections = Connections(10, request_within=SHORT, answer_within=answer_within)
    async with asyncio.timeout(20), serving("127.0.0.1", 0, probes, connections=connections) as url:
        port = int(url.rpartition(":")[2])
        slow = await connect(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await slow[0].readline()
        for _ in range(3):  # each is ended when its time is up: that of the slow one is, too
            await closed(await connect(port))
        assert (len(await closed(slow)) > len(LARGE)) is is_whole


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

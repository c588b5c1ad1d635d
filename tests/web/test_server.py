"""The server: an address that cannot be used is one clear error, and no client can delay closing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from pipeline.errors import ExitCode
from pipeline.web.server import ListenError, serving
from tests.support.web import Client, FakeDaemon, connected_client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with connected_client() as client:
        yield client


async def test_an_address_in_use_is_one_clear_line(client: Client) -> None:
    port = int(client.url.rpartition(":")[2])
    with pytest.raises(ListenError) as raised:
        async with serving("127.0.0.1", port, FakeDaemon().probes()):
            pass
    assert str(raised.value).startswith(f"status.listen: cannot listen on 127.0.0.1:{port}: ")
    assert "another port" in (raised.value.remedy or "")
    assert raised.value.exit_code == ExitCode.REFUSED
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("192.0.2.1", 0, "not an address of this machine"),  # of a network that is only for examples
        ("no-such-host.invalid", 0, "unknown host"),
        ("127.0.0.1", 70_000, "invalid address"),
        (f"{'x' * 70}..", 0, "address"),
    ],
)
async def test_an_address_that_cannot_be_used_is_one_line_with_a_remedy(host: str, port: int, why: str) -> None:
    with pytest.raises(ListenError, match=rf"^status\.listen: .*{why}") as raised:
        async with serving(host, port, FakeDaemon().probes()):
            pass
    assert raised.value.remedy


async def test_an_error_inside_the_block_is_not_taken_for_one_of_the_address() -> None:
    with pytest.raises(OSError, match="of another kind"):
        async with serving("127.0.0.1", 0, FakeDaemon().probes()):
            raise OSError("of another kind")


async def test_an_ipv6_address_is_written_as_in_a_url() -> None:
    try:
        async with serving("::1", 0, FakeDaemon().probes()) as url, aiohttp.ClientSession() as session:
            assert url.startswith("http://[::1]:")
            async with session.get(f"{url}/-/ready") as response:
                assert response.status == 200
    except ListenError:
        pytest.skip("this machine has no IPv6")


HANGING = {
    "that says nothing": "",
    "that stops amid its request": "GET /metrics HTTP/1.1\r\nHost: localh",
    "that keeps the connection": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "that never sends what it promised": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
    "whose scrape hangs": "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "that reads nothing": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000,
}


@pytest.mark.parametrize("request_", HANGING.values(), ids=list(HANGING))
async def test_no_client_can_delay_closing(request_: str) -> None:
    daemon = FakeDaemon(hold=asyncio.Event())
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving("127.0.0.1", 0, daemon.probes()))
        async with aiohttp.ClientSession() as session:
            _, writer = await Client(url, session, daemon).connected()
            writer.write(request_.encode())
            async with session.get(f"{url}/-/ready") as response:  # by now the request before it has arrived
                assert response.status == 200
        async with asyncio.timeout(30):  # aiohttp itself waits for 60 s
            await stack.aclose()
    assert daemon.scrapes == 0
    writer.close()

"""The monitor: what it answers and to whom, over real sockets; and that no client can hold it up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ExitCode
from pipeline.monitoring.metrics import Metrics
from pipeline.web.app import ListenError, Probes, is_ours, monitor

CLOSED_WITHIN_SECONDS = 2
"""How long closing may take at the very most, on a machine that is busy. aiohttp alone would wait 60 s."""


@dataclass
class Daemon:
    """What the daemon would say, set by a test."""

    healthy: str | None = None
    ready: str | None = None
    accepts: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    scrapes: int = 0
    most_scrapes: int = 0

    async def metrics(self, accept: str) -> tuple[str, bytes]:
        self.accepts.append(accept)
        self.scrapes += 1
        self.most_scrapes = max(self.most_scrapes, self.scrapes)
        try:
            await asyncio.sleep(0)
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.scrapes -= 1
        return Metrics().render(None, None, accept)

    def answers(self) -> Probes:
        return Probes(healthy=lambda: self.healthy, ready=lambda: self.ready, metrics=self.metrics)


@dataclass(frozen=True)
class Asked:
    """A monitor, and who asks it."""

    url: str
    session: aiohttp.ClientSession
    daemon: Daemon

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        async with self.session.request(method, f"{self.url}{path}", headers=headers) as response:
            return response.status, await response.text()

    async def raw(self, request: str) -> str:
        """Return all that comes back, to the end of the connection."""
        reader, writer = await self.connected()
        writer.write(request.encode())
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer.decode()

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return await asyncio.open_connection(host, int(port))


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    daemon = Daemon()
    async with monitor("127.0.0.1", 0, daemon.answers()) as url, aiohttp.ClientSession() as session:
        yield Asked(url, session, daemon)


async def test_it_says_whether_the_daemon_is_healthy_and_why_not(asked: Asked) -> None:
    assert await asked.get("/-/healthy") == (200, "healthy\n")
    asked.daemon.healthy = "the store last answered 95 s ago"
    assert await asked.get("/-/healthy") == (503, "not healthy: the store last answered 95 s ago\n")


async def test_it_says_whether_the_daemon_is_ready_and_why_not(asked: Asked) -> None:
    assert await asked.get("/-/ready") == (200, "ready\n")
    asked.daemon.ready = "stopping"
    assert await asked.get("/-/ready") == (503, "not ready: stopping\n")


async def test_a_reason_is_one_line_whatever_it_holds(asked: Asked) -> None:
    asked.daemon.healthy = "first\nsecond\x1b[2J"
    assert await asked.get("/-/healthy") == (503, "not healthy: first\\nsecond\\x1b[2J\n")


async def test_metrics_are_told_in_the_format_that_is_accepted(asked: Asked) -> None:
    async with asked.session.get(f"{asked.url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "pipeline_requests_total" in await response.text()
    async with asked.session.get(
        f"{asked.url}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
    ) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert (await response.text()).endswith("# EOF\n")


async def test_scrapes_take_turns(asked: Asked) -> None:
    await asyncio.gather(*(asked.get("/metrics") for _ in range(5)))
    assert len(asked.daemon.accepts) == 5
    assert asked.daemon.most_scrapes == 1


async def test_the_index_is_a_line_and_there_is_nothing_else(asked: Asked) -> None:
    status, text = await asked.get("/")
    assert status == 200
    assert "/metrics" in text
    assert text.count("\n") == 1
    for path in ("/metrics/", "/-/quit", "/-/reload", "/debug", "/..%2f..%2fetc/passwd"):
        assert (await asked.get(path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_nothing_takes_anything_in(asked: Asked, method: str) -> None:
    async with asked.session.request(method, f"{asked.url}/-/healthy", data=b"now") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/nothing"])
async def test_head_is_get_without_the_page(asked: Asked, path: str) -> None:
    answer = await asked.raw(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    assert body == ""
    assert "Content-Length: 0" not in head


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/nothing"])
async def test_every_answer_is_for_now_and_of_its_type_and_tells_no_version_of_the_server(
    asked: Asked, path: str
) -> None:
    async with asked.session.get(f"{asked.url}{path}") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in response.headers["Server"]


# Who may ask


async def test_a_page_that_made_its_own_name_resolve_to_us_gets_nothing(asked: Asked) -> None:
    status, text = await asked.get("/metrics", Host="rebound.example.com")
    assert status == 421
    assert text.count("\n") == 1
    assert asked.daemon.accepts == []


async def test_of_several_hosts_each_has_to_be_ours(asked: Asked) -> None:
    answer = await asked.raw("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert "overview-pipeline 0" not in answer


async def test_a_simple_health_check_sends_no_host(asked: Asked) -> None:
    assert " 200 " in (await asked.raw("GET /-/healthy HTTP/1.0\r\n\r\n")).partition("\r\n")[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "127.0.0.1:8080",
        "192.168.1.7",
        "[::1]:8080",
        "[fd00::7]",
        "daemon:8080",
        "raspberry.local",
        "raspberry.local.:8080",
        "metrics.internal",
        "pipeline.tools.svc:8080",
        "pipeline.tools.svc.cluster.local",
        "box.example.com",
    ],
)
def test_names_that_no_stranger_can_own_are_answered_to(host: str) -> None:
    assert is_ours(host, {"box.example.com"})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "example.com:8080",
        "box.example.com.evil.net",
        "127.0.0.1.nip.io",
        "127.0.0.1@evil.com",
        "evil.com#.local",
        "evil.com/.local",
        "evil.com?.internal",
        "evil.com:80:.local",
        "evil.com\\.svc",
        "local.evil.com",
        "evillocal.com",
        "[evil.com]",
        "[::1].evil.com",
        "localhost:80:80",
        "localhost:x",
        "localhost\n",
        "lok\u0430lhost.com",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not is_ours(host, {"box.example.com"})


@given(
    name=st.from_regex(r"[a-z0-9.@:\[\]/\\-]{0,20}", fullmatch=True),
    domain=st.sampled_from(["com", "io", "dev", "example", "localdomain", "svcs"]),
    port=st.sampled_from(["", ":8080", "."]),
)
def test_no_name_in_a_public_domain_is_ours(name: str, domain: str, port: str) -> None:
    assert not is_ours(f"{name}.{domain}{port}", {"box"})


# An address that cannot be had


async def test_an_address_in_use_is_one_clear_line(asked: Asked) -> None:
    port = int(asked.url.rpartition(":")[2])
    with pytest.raises(ListenError) as raised:
        async with monitor("127.0.0.1", port, Daemon().answers()):
            pass
    assert str(raised.value) == (
        f"status.listen: 127.0.0.1:{port} cannot be listened on: another program listens there: end it, or name"
        " another port"
    )
    assert raised.value.exit_code == ExitCode.REFUSED
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("192.0.2.1", 0, "it is no address of this machine"),  # of a network that is only for examples
        ("no-such-host.invalid", 0, "no such host"),
        ("127.0.0.1", 70_000, "name"),
        (f"{'x' * 70}..", 0, "name"),
    ],
)
async def test_every_other_trouble_with_it_is_told_too(host: str, port: int, why: str) -> None:
    with pytest.raises(ListenError, match=rf"^status\.listen: .*cannot be listened on: .*{why}.*$"):
        async with monitor(host, port, Daemon().answers()):
            pass


async def test_what_goes_wrong_inside_is_not_the_addresss_doing() -> None:
    with pytest.raises(OSError, match="of another kind"):
        async with monitor("127.0.0.1", 0, Daemon().answers()):
            raise OSError("of another kind")


async def test_an_address_of_the_sixth_version_is_given_as_a_url_has_it() -> None:
    try:
        async with monitor("::1", 0, Daemon().answers()) as url, aiohttp.ClientSession() as session:
            assert url.startswith("http://[::1]:")
            async with session.get(f"{url}/-/ready") as response:
                assert response.status == 200
    except ListenError:
        pytest.skip("this machine has no IPv6")


# Closing


HANGING = {
    "that says nothing": "",
    "that stops amid its request": "GET /metrics HTTP/1.1\r\nHost: localh",
    "that keeps the connection": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "that never sends what it promised": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
    "whose scrape hangs": "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "that reads nothing": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000,
}


@pytest.mark.parametrize("request_", HANGING.values(), ids=list(HANGING))
async def test_no_client_can_hold_up_the_end(request_: str) -> None:
    daemon = Daemon(hold=asyncio.Event())
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(monitor("127.0.0.1", 0, daemon.answers()))
        async with aiohttp.ClientSession() as session:
            _, writer = await Asked(url, session, daemon).connected()
            writer.write(request_.encode())
            async with session.get(f"{url}/-/ready") as response:  # by now the request before it has arrived
                assert response.status == 200
        async with asyncio.timeout(CLOSED_WITHIN_SECONDS):
            await stack.aclose()
    assert daemon.scrapes == 0
    writer.close()

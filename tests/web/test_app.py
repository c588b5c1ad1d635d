"""The web application: what it answers, in which form, and to whom."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.web import Client, connected_client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with connected_client() as client:
        yield client


async def test_healthy_is_200_else_503_with_the_reason(client: Client) -> None:
    assert await client.get("/-/healthy") == (200, "healthy\n")
    client.daemon.healthy = "the store last answered 95 s ago"
    assert await client.get("/-/healthy") == (503, "not healthy: the store last answered 95 s ago\n")


async def test_ready_is_200_else_503_with_the_reason(client: Client) -> None:
    assert await client.get("/-/ready") == (200, "ready\n")
    client.daemon.ready = "stopping"
    assert await client.get("/-/ready") == (503, "not ready: stopping\n")


async def test_a_reason_is_one_line_whatever_it_holds(client: Client) -> None:
    client.daemon.healthy = "first\nsecond\x1b[2J"
    assert await client.get("/-/healthy") == (503, "not healthy: first\\nsecond\\x1b[2J\n")


async def test_metrics_come_in_the_format_that_is_accepted(client: Client) -> None:
    async with client.session.get(f"{client.url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "pipeline_requests_total" in await response.text()
    async with client.session.get(
        f"{client.url}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
    ) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert (await response.text()).endswith("# EOF\n")


async def test_scrapes_take_turns(client: Client) -> None:
    await asyncio.gather(*(client.get("/metrics") for _ in range(5)))
    assert len(client.daemon.accepts) == 5
    assert client.daemon.most_scrapes == 1


async def test_the_index_is_a_line_and_there_is_nothing_else(client: Client) -> None:
    status, text = await client.get("/")
    assert status == 200
    assert "/metrics" in text
    assert text.count("\n") == 1
    for path in ("/metrics/", "/-/quit", "/-/reload", "/debug", "/..%2f..%2fetc/passwd"):
        assert (await client.get(path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_only_get_and_head_are_allowed(client: Client, method: str) -> None:
    async with client.session.request(method, f"{client.url}/-/healthy", data=b"now") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("target", ["OPTIONS *", "CONNECT localhost:80", "POST /nothing"])
async def test_another_method_is_refused_for_what_is_not_an_endpoint_too(client: Client, target: str) -> None:
    answer = await client.raw(f"{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = answer.partition("\r\n\r\n")[0].split("\r\n")
    assert head[0].split()[1] == "405"
    assert "Allow: GET, HEAD" in head


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/nothing"])
async def test_head_is_get_without_the_page(client: Client, path: str) -> None:
    answer = await client.raw(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    assert body == ""
    assert "Content-Length: 0" not in head


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/nothing"])
async def test_every_answer_has_the_same_headers_and_reveals_no_version_of_the_server(
    client: Client, path: str
) -> None:
    async with client.session.get(f"{client.url}{path}") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in response.headers["Server"]


async def test_a_web_page_whose_name_resolves_to_this_machine_gets_nothing(client: Client) -> None:
    status, text = await client.get("/metrics", Host="rebound.example.com")
    assert status == 421
    assert text.count("\n") == 1
    assert client.daemon.accepts == []


async def test_a_name_that_is_configured_is_answered_and_the_refusal_of_another_says_where_to_add_it() -> None:
    async with connected_client(allowed_hosts={"nas.lan"}) as client:
        for host in ("nas.lan", "NAS.LAN.:8080"):
            assert (await client.get("/-/healthy", Host=host))[0] == 200
        status, text = await client.get("/-/healthy", Host="evil.nas.lan")
    assert status == 421
    assert "status.allowed_hosts" in text


async def test_of_several_hosts_each_is_checked(client: Client) -> None:
    answer = await client.raw("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert "overview-pipeline 0" not in answer


async def test_a_simple_health_check_sends_no_host(client: Client) -> None:
    assert " 200 " in (await client.raw("GET /-/healthy HTTP/1.0\r\n\r\n")).partition("\r\n")[0]


@pytest.mark.parametrize(
    "request_", ["OPTIONS * HTTP/1.1", "POST /nothing HTTP/1.1", "GET http://localhost/x HTTP/1.1"]
)
async def test_an_unusual_request_is_refused_without_a_version_too(client: Client, request_: str) -> None:
    answer = await client.raw(f"{request_}\r\nHost: localhost\r\nExpect: x\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in ("404", "405", "417")
    assert "aiohttp" not in answer
    assert "X-Content-Type-Options: nosniff" in answer


@pytest.mark.parametrize(
    "request_",
    [
        "GET / HTTP/9.9\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GET %00 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        f"GET /{'secret' * 1_500} HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nCookie: {'secret' * 1_500}\r\n\r\n",
    ],
    ids=lambda text: text[:40],
)
async def test_what_is_not_http_gets_one_line_without_a_version_and_without_what_was_sent(
    client: Client, request_: str
) -> None:
    head, _, body = (await client.raw(request_)).partition("\r\n\r\n")
    assert " 400 " in head.partition("\r\n")[0]
    assert "Server: overview-pipeline\r\n" in head
    assert "X-Content-Type-Options: nosniff" in head
    assert body.count("\n") == 1
    assert "secret" not in body

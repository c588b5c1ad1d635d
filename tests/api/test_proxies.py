"""Through a proxy: TLS stays end to end, nothing but the server's name is seen, and no slot is counted for nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.client import OverviewApi, open_api
from pipeline.api.errors import ApiError, ProxyRefused, Unavailable, Unreachable
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol
from tests.support.hostile import Hostile, Say, drops, hostile, says, sends
from tests.support.proxies import ConnectProxy, proxying
from tests.support.tls import encrypted, trust_authority

IBM = Symbol("IBM")
KEY, USER, PASSWORD = "S3CR3TK3YS3CR3TK", "carla", "pa55%40w0rd"
KEY_ID = KeyId("0123456789abcdef")
SOON = timedelta(seconds=5)
OVERVIEW = says(b'{"Symbol": "IBM"}')


@pytest.fixture(autouse=True)
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_authority(tmp_path, monkeypatch)


def through(proxy: str, base_url: str) -> AbstractAsyncContextManager[OverviewApi]:
    return open_api(base_url, {KEY_ID: KEY}, concurrency=2, reuse=False, proxy=proxy)


@asynccontextmanager
async def api(proxy: ConnectProxy, say: Say = OVERVIEW) -> AsyncIterator[tuple[OverviewApi, Hostile]]:
    async with encrypted(say) as (server, base_url), proxying(proxy), through(proxy.url, base_url) as opened:
        yield opened, server


async def refusal(proxy: ConnectProxy, say: Say = OVERVIEW, within: timedelta = SOON) -> ApiError:
    async with api(proxy, say) as (opened, server):
        with pytest.raises(ApiError) as caught:
            await opened.overview(IBM, key=KEY_ID, within=within)
    assert (server.requests == []) == (type(caught.value) is not Unavailable)
    for secret in (KEY, USER, PASSWORD, "pa55@w0rd"):
        assert secret not in str(caught.value)
    assert caught.value.__suppress_context__
    return caught.value


@pytest.mark.parametrize("credentials", [None, f"{USER}:{PASSWORD}"])
async def test_the_proxy_sees_the_name_of_the_server_and_nothing_of_the_request(credentials: str | None) -> None:
    proxy = ConnectProxy(credentials)
    async with api(proxy) as (opened, server):
        overview = await opened.overview(IBM, key=KEY_ID, within=SOON)

    assert overview.document == {"Symbol": "IBM"}
    assert len(server.requests) == 1
    assert [target.partition(":")[0] for target in proxy.targets] == ["localhost"]
    assert KEY.encode() not in proxy.seen
    assert b"OVERVIEW" not in proxy.seen


async def test_wrong_credentials_are_a_matter_of_the_configuration_and_no_request_was_counted() -> None:
    proxy = ConnectProxy(f"{USER}:{PASSWORD}")
    async with encrypted(OVERVIEW) as (server, base_url), proxying(proxy):
        for url in (proxy.url.replace(USER, "eve"), proxy.url.replace(f"{USER}:{PASSWORD}@", "")):
            async with through(url, base_url) as opened:
                with pytest.raises(ProxyRefused, match=r"407.*source\.proxy") as caught:
                    await opened.overview(IBM, key=KEY_ID, within=SOON)
            assert PASSWORD not in str(caught.value)
            assert "eve" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("status", [400, 403, 405])
async def test_a_proxy_that_does_not_admit_the_server_is_a_matter_of_the_configuration(status: int) -> None:
    error = await refusal(ConnectProxy(status=status))

    assert type(error) is ProxyRefused
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_proxy_in_trouble_is_tried_again_and_no_request_was_counted(status: int) -> None:
    assert type(await refusal(ConnectProxy(status=status))) is Unreachable


async def test_a_proxy_that_is_not_there_is_tried_again_and_no_request_was_counted() -> None:
    proxy = ConnectProxy(f"{USER}:{PASSWORD}")
    async with proxying(proxy):
        pass
    async with encrypted(OVERVIEW) as (server, base_url), through(proxy.url, base_url) as opened:
        with pytest.raises(Unreachable) as caught:
            await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert re.search(r"through the proxy 127\.0\.0\.1:[0-9]+: connection refused", str(caught.value))
    assert USER not in str(caught.value)
    assert server.requests == []


async def test_a_proxy_that_drops_the_connection_is_tried_again_and_no_request_was_counted() -> None:
    assert type(await refusal(ConnectProxy(drops=True))) is Unreachable


async def test_a_proxy_that_never_answers_is_tried_again_and_no_request_was_counted() -> None:
    error = await refusal(ConnectProxy(silent=True), within=timedelta(seconds=0.2))

    assert type(error) is Unreachable
    assert "no answer in time" in str(error)


async def test_a_server_that_drops_a_request_behind_the_proxy_has_counted_it() -> None:
    assert type(await refusal(ConnectProxy(), drops)) is Unavailable
    assert type(await refusal(ConnectProxy(), sends(b"HTTP/1.1 200 OK\r\nContent-Le", then_drop=True))) is Unavailable


async def test_a_server_behind_the_proxy_that_is_not_trusted_gets_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    error = await refusal(ConnectProxy())

    assert type(error) is Unreachable
    assert "certificate" in str(error)


async def test_plain_http_which_is_within_this_machine_never_goes_through_a_proxy() -> None:
    proxy = ConnectProxy()
    async with hostile(OVERVIEW) as (server, base_url), proxying(proxy), through(proxy.url, base_url) as opened:
        await opened.overview(IBM, key=KEY_ID, within=SOON)

    assert len(server.requests) == 1
    assert proxy.targets == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = ConnectProxy()
    async with encrypted(OVERVIEW) as (_, base_url), proxying(proxy):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with open_api(base_url, {KEY_ID: KEY}, concurrency=2, reuse=False) as opened:
            await opened.overview(IBM, key=KEY_ID, within=SOON)

    assert proxy.targets == []

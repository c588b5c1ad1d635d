"""The probe: one request without the key; each way not to get an answer has a reason of its own, and a remedy."""

import asyncio
import socket
import ssl
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from pipeline.api.probe import probe
from pipeline.api.reachability import Answer, Reason
from tests.support.clocks import START
from tests.support.hostile import Say, drops, hostile, says, sends
from tests.support.proxies import ConnectProxy, proxying
from tests.support.tls import FUTURE, PAST, certificate, self_signed, trust_authority, with_foreign_root

SOON = timedelta(seconds=5)
FINE = says(b"", "404 Not Found", f"Date: {format_datetime(START, usegmt=True)}")


@pytest.fixture(autouse=True)
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_authority(tmp_path, monkeypatch)


async def probed(base_url: str, *, proxy: str | None = None, within: timedelta = SOON) -> Answer | Reason:
    return await probe(base_url, proxy=proxy, within=within, now=lambda: START)


async def why(tls: ssl.SSLContext | None = None, say: Say = FINE) -> Reason:
    async with hostile(say, tls=tls) as (server, base_url):
        found = await probed(base_url)
    assert isinstance(found, Reason)
    assert found.remedy
    assert tls is None or server.requests == [], "no request is sent"
    return found


async def test_one_request_is_sent_without_the_key_and_not_to_the_path_of_the_api() -> None:
    async with hostile(FINE, tls=certificate("localhost")) as (server, base_url):
        found = await probed(base_url)

    assert server.requests == ["HEAD / HTTP/1.1\r\n"]
    assert server.connections == 1
    assert isinstance(found, Answer)
    assert found.status == 404


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([START], -0.5),
        ([START + timedelta(minutes=2)], -120.5),
        ([START - timedelta(minutes=2)], 119.5),
        ([START - timedelta(minutes=2), "Age: 118"], 1.5),
        ([], None),
        (["Date: yesterday"], None),
        ([START, "Age: old"], None),
    ],
)
async def test_the_clock_is_compared_with_the_date_of_the_answer(headers: list[object], seconds: float | None) -> None:
    lines = [f"Date: {format_datetime(one, usegmt=True)}" if isinstance(one, datetime) else str(one) for one in headers]
    async with hostile(says(b"", "200 OK", *lines)) as (_, base_url):
        found = await probed(base_url)

    assert isinstance(found, Answer)
    assert found.ahead == (None if seconds is None else timedelta(seconds=seconds))


async def test_an_expired_certificate() -> None:
    found = await why(certificate("localhost", not_before=PAST - timedelta(days=9), not_after=PAST))
    assert "expired" in found.problem
    assert "clock" in found.remedy


async def test_a_certificate_that_is_not_valid_yet() -> None:
    found = await why(certificate("localhost", not_before=FUTURE, not_after=FUTURE + timedelta(days=9)))
    assert "not valid yet" in found.problem
    assert "clock" in found.remedy


async def test_a_certificate_for_another_host() -> None:
    for name in ("other.example", "127.0.0.2"):
        assert "another host" in (await why(certificate(name))).problem


async def test_a_self_signed_certificate() -> None:
    found = await why(self_signed())
    assert "self-signed" in found.problem
    assert "SSL_CERT_FILE" in found.remedy


async def test_a_root_that_is_not_trusted_as_a_companys_proxy_shows() -> None:
    found = await why(with_foreign_root("localhost"))
    assert "root that is not trusted" in found.problem
    assert "SSL_CERT_FILE" in found.remedy


async def test_an_issuer_that_is_not_known() -> None:
    found = await why(certificate("localhost", trusted=False))
    assert "issuer" in found.problem
    assert "SSL_CERT_FILE" in found.remedy


@pytest.mark.parametrize(("answer", "problem"), [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "no TLS"), (b"", "dropped")])
async def test_a_server_that_does_not_speak_tls(answer: bytes, problem: str) -> None:
    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speaks, "127.0.0.1", 0) as server:
        found = await probed(f"https://localhost:{server.sockets[0].getsockname()[1]}/query")
    assert isinstance(found, Reason)
    assert problem in found.problem


async def test_a_refused_connection() -> None:
    async with hostile(FINE) as (_, base_url):
        pass
    assert await probed(base_url) == Reason("connection refused", "nothing listens there: check host and port")


async def test_a_name_that_does_not_exist() -> None:
    found = await probed("https://nowhere.invalid/query")
    assert isinstance(found, Reason)
    assert "no such host" in found.problem or "no name server" in found.problem


async def test_a_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await probed(f"https://localhost:{silent.getsockname()[1]}/query", within=timedelta(seconds=0.2))
    assert isinstance(found, Reason)
    assert "no answer in time" in found.problem


async def test_a_server_that_never_answers() -> None:
    async def waits(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with hostile(waits, tls=certificate("localhost")) as (_, base_url):
        found = await probed(base_url, within=timedelta(seconds=0.3))
    assert isinstance(found, Reason)
    assert "no answer in time" in found.problem


@pytest.mark.parametrize("say", [drops, sends(b"SSH-2.0-OpenSSH\r\n\r\n", then_drop=True)])
async def test_an_answer_that_is_none(say: Say) -> None:
    found = await why(None, say)
    assert "not HTTP" in found.problem


async def test_through_a_proxy() -> None:
    proxy = ConnectProxy("carla:pa55w0rd")
    async with hostile(FINE, tls=certificate("localhost")) as (server, base_url), proxying(proxy):
        assert isinstance(await probed(base_url, proxy=proxy.url), Answer)
        refused = await probed(base_url, proxy=proxy.url.replace("pa55", ""))

    assert len(server.requests) == 1
    assert len(proxy.targets) == 2
    assert isinstance(refused, Reason)
    assert "407" in refused.problem
    assert "source.proxy" in refused.remedy

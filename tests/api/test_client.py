"""The HTTP client: one request per call, bounded in time and memory, and the key in no error."""

import asyncio
import json
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import escape
from urllib.parse import quote

import pytest

from pipeline.api.client import OverviewApi, open_api, timeout_of
from pipeline.api.errors import (
    ApiError,
    BadRequest,
    KeyRefused,
    NotJson,
    OtherSymbol,
    QuotaEnded,
    Rejected,
    RunEnding,
    TooLarge,
    Unavailable,
    Unreachable,
    Unrecognised,
)
from pipeline.api.responses import LARGEST_BODY
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol
from tests.support.hostile import Say, bomb, drips, drops, hostile, never_ends, says, sends

IBM = Symbol("IBM")
KEY = "S3CR3T/KEY+4U=="
KEY_ID = KeyId("0123456789abcdef")
SOON = timedelta(seconds=5)


@asynccontextmanager
async def api(base_url: str, *, reuse: bool = False, key: str = KEY) -> AsyncIterator[OverviewApi]:
    async with open_api(base_url, {KEY_ID: key}, concurrency=4, reuse=reuse) as opened:
        yield opened


async def refused(say: Say, within: timedelta = SOON) -> ApiError:
    async with hostile(say) as (server, base_url), api(base_url) as opened:
        with pytest.raises(ApiError) as caught:
            await opened.overview(IBM, key=KEY_ID, within=within)
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


async def test_a_request_has_the_path_and_parameters_of_the_api() -> None:
    async with hostile(says(b'{"Symbol": "IBM"}')) as (server, base_url), api(base_url) as opened:
        overview = await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert overview.document == {"Symbol": "IBM"}
    assert server.requests == ["GET /query?function=OVERVIEW&symbol=IBM&apikey=S3CR3T%2FKEY%2B4U%3D%3D HTTP/1.1\r\n"]


@pytest.mark.parametrize(
    ("symbol", "requested"), [("M&M.BSE", "M%26M.BSE"), ("BC/PB", "BC%2FPB"), ("BRK.B", "BRK-B"), ("VOD.L", "VOD.L")]
)
async def test_a_symbol_is_requested_as_the_api_writes_it_and_breaks_no_request(symbol: str, requested: str) -> None:
    answer = json.dumps({"Symbol": symbol.replace("BRK.B", "BRK-B")}).encode()
    async with hostile(says(answer)) as (server, base_url), api(base_url) as opened:
        overview = await opened.overview(Symbol(symbol), key=KEY_ID, within=SOON)
    assert overview.symbol == symbol
    assert f"&symbol={requested}&apikey=" in server.requests[0]


@pytest.mark.parametrize("reuse", [True, False])
async def test_no_request_is_resent_when_the_connection_drops(reuse: bool) -> None:
    """aiohttp alone sends a GET a second time when the server drops it, on a fresh connection too."""
    async with hostile(drops) as (server, base_url), api(base_url, reuse=reuse) as opened:
        for _ in range(4):
            with pytest.raises(Unavailable):
                await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert len(server.requests) == 4


@pytest.mark.parametrize("reuse", [True, False])
async def test_no_request_is_resent_when_a_kept_alive_connection_drops(reuse: bool) -> None:
    answers = iter([says(b'{"Symbol": "IBM"}'), drops] * 4)

    async def alternate(writer: asyncio.StreamWriter) -> None:
        await next(answers)(writer)

    async with hostile(alternate) as (server, base_url), api(base_url, reuse=reuse) as opened:
        for _ in range(4):
            await opened.overview(IBM, key=KEY_ID, within=SOON)
            with pytest.raises(Unavailable):
                await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert len(server.requests) == 8
    assert server.connections == (4 if reuse else 8)


async def test_a_reset_in_the_middle_of_a_body_is_unavailable() -> None:
    half = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"Symbol": "IBM"'
    assert type(await refused(sends(half, then_drop=True))) is Unavailable


async def test_a_body_shorter_than_its_content_length_is_unavailable() -> None:
    short = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"Symbol": "IBM"}'
    assert type(await refused(sends(short, then_drop=True))) is Unavailable


async def test_a_body_longer_than_its_content_length_is_unavailable() -> None:
    long = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"Symbol": "IBM"}'
    assert type(await refused(sends(long))) is Unavailable


async def test_a_slow_drip_ends_with_the_total_timeout() -> None:
    error = await refused(drips, within=timedelta(seconds=0.2))
    assert type(error) is Unavailable
    assert "0.2 s" in str(error)


@pytest.mark.parametrize(("within", "connected"), [(30, 25), (12.5, 7.5), (6, 3), (0.2, 0.1)])
def test_a_request_leaves_in_time_to_arrive_before_it_is_given_up(within: float, connected: float) -> None:
    """A connection that is made later is not used: the server would count what counts no more here."""
    timeout = timeout_of(timedelta(seconds=within))
    assert (timeout.total, timeout.connect) == (within, connected)
    assert timeout.ceil_threshold > within  # aiohttp would round up to a second: after the deadline


async def test_a_body_without_an_end_is_cut_off() -> None:
    error = await refused(never_ends)
    assert type(error) is TooLarge
    assert f"{LARGEST_BODY:,}" in str(error)


async def test_a_gzip_bomb_costs_little_memory() -> None:
    say = bomb()
    tracemalloc.start()
    try:
        assert type(await refused(say)) is TooLarge
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # it unpacks to 100,000,000


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
async def test_a_server_that_sends_interim_answers_for_ever_is_given_up(interim: bytes) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(interim * 1000)
            await writer.drain()

    tracemalloc.start()
    try:
        assert type(await refused(say, within=timedelta(minutes=5))) is Unavailable
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


async def test_a_few_interim_answers_come_before_the_answer() -> None:
    answer = says(b'{"Symbol": "IBM"}')

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3)
        await answer(writer)

    async with hostile(say) as (_, base_url), api(base_url, reuse=True) as opened:
        for _ in range(5):
            assert (await opened.overview(IBM, key=KEY_ID, within=SOON)).symbol == IBM


async def test_a_redirect_is_not_followed() -> None:
    seen: list[str] = []
    async with hostile(says(b'{"Symbol": "IBM"}')) as (elsewhere, other_url):
        error = await refused(says(b"", "302 Found", f"Location: {other_url}"))
        seen += elsewhere.requests
    assert type(error) is BadRequest
    assert seen == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"Symbol": "IBM", "n": ' + b"9" * 5000 + b"}", NotJson),
        (b'{"Symbol": "IBM", "n": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", NotJson),
        ('{"Symbol": "IBM", "Name": "é"}'.encode("latin-1"), NotJson),
        (b'{"Symbol": "PEP"}', OtherSymbol),
        (b"<html>busy</html>", NotJson),
    ],
)
async def test_other_answers_are_classified(body: bytes, expected: type[ApiError]) -> None:
    assert type(await refused(says(body))) is expected


async def test_a_wrong_content_encoding_is_unavailable() -> None:
    assert type(await refused(says(b"not gzip at all", "200 OK", "Content-Encoding: gzip"))) is Unavailable


async def test_an_answer_that_is_not_http_is_unavailable() -> None:
    assert type(await refused(sends(b"SSH-2.0-OpenSSH\r\n\r\n", then_drop=True))) is Unavailable


async def test_a_refused_connection_is_unreachable() -> None:
    async with hostile(drops) as (_, base_url):
        pass
    async with api(base_url) as opened:
        with pytest.raises(Unreachable):
            await opened.overview(IBM, key=KEY_ID, within=SOON)


def escaped(key: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in key)


SPELLINGS = [
    KEY,
    KEY.lower(),
    KEY[:-1],
    KEY[1:],
    quote(KEY, safe=""),
    quote(KEY, safe="").lower(),
    escaped(KEY),
    escaped(KEY.lower()),
    escaped(KEY[0]) + KEY[1:],
    KEY[:5] + escaped(KEY[5]) + KEY[6:],
    escape(KEY),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We have detected your API key as {} and 25 requests per day", QuotaEnded),
        ("We saw {}: 25 requests per day", QuotaEnded),
        ("the parameter apikey is invalid or missing: {}", KeyRefused),
        ("Invalid API call: {} will not do", BadRequest),
        ("odd {}", Unrecognised),
        ("x" * 130 + " {} {}", Unrecognised),
    ],
)
async def test_no_error_contains_the_key_that_an_answer_echoes(
    spelling: str, text: str, expected: type[ApiError]
) -> None:
    error = await refused(says(f'{{"Information": "{text.format(spelling, spelling)}"}}'.encode()))

    assert type(error) is expected
    told = str(error) + (error.explanation if isinstance(error, RunEnding) else "")
    assert "***" in told
    assert not any(part in told.lower() for part in ("s3cr", "key+", "4u=", "u0053", "%2b"))


async def test_no_error_contains_the_key_that_other_answers_echo() -> None:
    for body in (f'{{"Symbol": "{KEY}"}}', f"<html>{KEY}</html>", f'["{KEY}"]'):
        assert "S3CR" not in str(await refused(says(body.encode())))


async def test_a_key_that_is_a_word_of_the_refusal_does_not_change_its_meaning() -> None:
    say = says(b'{"Information": "The **demo** API key is for demo purposes only."}')
    async with hostile(say) as (_, base_url), api(base_url, key="demo") as opened:
        with pytest.raises(KeyRefused) as caught:
            await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert "demo" not in str(caught.value)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("member", ['"Name": "An Inc, {}!"', '"{}": "new"', '"New": [{{"deep": "{}"}}]'])
async def test_an_overview_that_contains_the_key_is_rejected(spelling: str, member: str) -> None:
    assert type(await refused(says(f'{{"Symbol": "IBM", {member.format(spelling)}}}'.encode()))) is Rejected


async def test_an_overview_that_contains_a_short_key_by_chance_is_an_overview() -> None:
    say = says(b'{"Symbol": "IBM", "Name": "Demo, demo & demo"}')
    async with hostile(say) as (_, base_url), api(base_url, key="demo") as opened:
        assert (await opened.overview(IBM, key=KEY_ID, within=SOON)).document["Name"] == "Demo, demo & demo"


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate for localhost that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem"
    try:
        subprocess.run(["openssl", *command.split()], cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.process
async def test_a_self_signed_man_in_the_middle_gets_no_request(self_signed: ssl.SSLContext) -> None:
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=self_signed)
    port = server.sockets[0].getsockname()[1]
    async with server, api(f"https://localhost:{port}/query") as opened:
        with pytest.raises(Unreachable):
            await opened.overview(IBM, key=KEY_ID, within=SOON)
    assert not any(seen)

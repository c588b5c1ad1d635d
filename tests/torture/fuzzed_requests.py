"""The HTTP server as a decoder: the bytes of a request in; an answer, a refusal or a closed connection out."""

import asyncio
import base64
import logging
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

from tests.support.crawl import ROUTES, VALUES, filled
from tests.support.site import served
from tests.support.two_futures import RICH
from tests.torture.decoder import OPEN, Decoder, Wrong

_AT_ONCE = 4
"""Requests of a turn."""
_PATIENCE = 5.0
"""Seconds for an answer, on a machine that is busy."""
_LAST_REFUSAL = 500
_TOKEN = "token"
_BASIC = base64.b64encode(f"user:{_TOKEN}".encode())


class _Faults(logging.Handler):
    """What the server logged as a fault of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class _Server:
    """A site that is served in this process, between the cases too."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    faults: _Faults = field(default_factory=_Faults)
    port: int = 0

    def start(self, token: str | None) -> None:
        logging.getLogger("aiohttp").addHandler(self.faults)
        site = served(RICH.databases()[0], token=token)
        client = self.loop.run_until_complete(site.__aenter__())
        self.port = int(client.url.rpartition(":")[2])
        OPEN.callback(self.loop.close)
        OPEN.callback(lambda: self.loop.run_until_complete(site.__aexit__(None, None, None)))

    async def answer(self, request: bytes) -> bytes:
        """Return all that the server answers to some bytes, after which nothing more is sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(_PATIENCE):
                writer.write(request)
                writer.write_eof()
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@cache
def _server(token: str | None) -> _Server:
    server = _Server()
    server.start(token)
    return server


def _guarded(content: bytes) -> None:
    """Send a request to a server with a token, which answers those alone that have it."""
    status = _status(content, _TOKEN)
    sent = content.lower()
    if status == HTTPStatus.OK and not any(one in sent for one in (_TOKEN.encode(), b"basic", b"/-/", b"%")):
        raise Wrong("an answer without the token")


def _status(content: bytes, token: str | None) -> int:
    """Return the status of an answer, 0 if there is none. Raise Wrong for a fault of the server."""
    server = _server(token)
    server.faults.lines.clear()
    try:
        answer = server.loop.run_until_complete(server.answer(content))
    except TimeoutError:
        raise Wrong(f"no answer within {_PATIENCE:g} s") from None
    status = int(answer[9:12]) if answer[:7] == b"HTTP/1." and answer[9:12].isdigit() else 0
    if status >= _LAST_REFUSAL or server.faults.lines:
        raise Wrong(f"status {status}: {'; '.join(server.faults.lines)[:200]}")
    if b"Traceback" in answer:
        raise Wrong("a traceback in the answer")
    return status


def decoders() -> tuple[Decoder, ...]:
    """Return the server as a decoder, with a request for each of its paths."""
    given = "&".join(f"{name}={values[0]}" for name, values in VALUES.items() if name in {"since", "until", "limit"})
    paths = [filled(route.path, "A", "2") for route in ROUTES]
    targets = [
        *paths,
        *(f"/as-of/2026-03-16{path}" for path in paths[::4]),
        *(f"{path}?{given}" for path in paths[::3]),
    ]
    targets += [
        f"{paths[number % len(paths)]}?{name}={values[0]}" for number, (name, values) in enumerate(VALUES.items())
    ]
    headers = (
        'Host: localhost\r\nAccept: text/csv;q=0.5, */*\r\nIf-None-Match: W/"0af3", *\r\nAccept-Encoding: gzip;q=1\r\n'
    )
    seeds = tuple(f"GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode() for target in targets)
    guarded = tuple(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n".encode()
        for path, header in (
            ("/companies", f"Authorization: Bearer {_TOKEN}\r\n"),
            ("/companies", f"Authorization: Basic {_BASIC.decode()}\r\n"),
            (f"/query?function=OVERVIEW&symbol=A&apikey={_TOKEN}", ""),
            ("/companies", ""),
            ("/-/healthy", ""),
        )
    )
    return (
        Decoder("requests", lambda content: _status(content, None), (), seeds, at_once=_AT_ONCE),
        Decoder("requests to a server with a token", _guarded, (), guarded, at_once=_AT_ONCE),
    )

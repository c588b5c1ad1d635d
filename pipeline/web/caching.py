"""Caching: an answer carries a hash of its body, so that a client that has it already gets 304 instead."""

import asyncio
import gzip
import re
from dataclasses import dataclass, field
from hashlib import blake2b

from aiohttp import web
from multidict import CIMultiDict

NO_STORE = "no-store"
"""The Cache-Control of an answer that is worth no tag."""
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?(?:,|$)", re.IGNORECASE)
_WORTH_COMPRESSING = 1_000
"""Bytes."""
_QUICK_TO_COMPRESS = 50_000
"""Bytes: more is compressed in a thread, so that the event loop does not wait."""
_LEVEL = 3
"""Of 9: a table gets hardly smaller by a higher one, which takes two or three times as long."""
_COMPRESSED = ("image/png", "application/vnd.apache.parquet")


@dataclass(slots=True)
class Answer:
    """A whole answer, to be sent to any number of clients."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    _gzipped: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, response: web.Response) -> "Answer":
        """Return the answer that a handler made, with a tag if it may be kept.

        The tag is weak, as the same answer may be sent compressed or not. An answer about the past, too, changes when
        an import adds older observations: so clients ask each time, and nothing is immutable.
        """
        body = response.body if isinstance(response.body, bytes) else b""
        headers = response.headers.copy()
        headers.setdefault("Content-Type", response.content_type)
        if response.status == web.HTTPOk.status_code and headers.get("Cache-Control") != NO_STORE:
            headers.setdefault("Cache-Control", "no-cache")
            headers["ETag"] = f'W/"{blake2b(body, digest_size=16).hexdigest()}"'
        headers["Vary"] = "Accept, Accept-Encoding"
        return cls(response.status, headers, body)

    @property
    def size(self) -> int:
        """How much memory it takes, in bytes, with what it is sent as."""
        return len(self.body) * 5 // 4 + 1_000

    async def response(self, request: web.Request) -> web.Response:
        """Return a response with it: 304 where the client has the same, and compressed where that pays."""
        headers = self.headers.copy()
        tag = headers.get("ETag")
        if tag is not None and _has(request, tag):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        if len(self.body) < _WORTH_COMPRESSING or headers["Content-Type"] in _COMPRESSED or not _takes_gzip(request):
            return web.Response(status=self.status, headers=headers, body=self.body)
        headers["Content-Encoding"] = "gzip"
        return web.Response(status=self.status, headers=headers, body=await self._compressed())

    async def _compressed(self) -> bytes:
        if self._gzipped is None:
            if len(self.body) > _QUICK_TO_COMPRESS:
                self._gzipped = await asyncio.to_thread(_gzip, self.body)
            else:
                self._gzipped = _gzip(self.body)
        return self._gzipped


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


def _has(request: web.Request, tag: str) -> bool:
    held = request.headers.get("If-None-Match", "")
    return held.strip() == "*" or _TAG.findall(tag)[0] in _TAG.findall(held)


def _takes_gzip(request: web.Request) -> bool:
    found = _GZIP.search(request.headers.get("Accept-Encoding", ""))
    return found is not None and (found[1] is None or float(found[1]) > 0)

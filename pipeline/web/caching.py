"""Caching: an answer carries a hash of its body, so that a client that has it already gets 304 instead."""

import re
from hashlib import blake2b

from aiohttp import web
from aiohttp.typedefs import Handler

NO_STORE = "no-store"
"""The Cache-Control of an answer that is worth no tag."""
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_WORTH_COMPRESSING = 1_000
"""Bytes."""


@web.middleware
async def revalidate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add an ETag, and answer 304 where the client has the same; compress what is large.

    The tag is weak, as the same answer may be sent compressed or not. An answer about the past, too, changes when an
    import adds older observations: so clients ask each time, and nothing is immutable.
    """
    response = await handler(request)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes) or response.status != 200:
        return response
    if response.headers.get("Cache-Control") == NO_STORE:
        return response
    tag = blake2b(response.body, digest_size=16).hexdigest()
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers["ETag"] = f'W/"{tag}"'
    response.headers["Vary"] = "Accept, Accept-Encoding"
    if tag in _TAG.findall(request.headers.get("If-None-Match", "")):
        kept = {name: response.headers[name] for name in ("ETag", "Cache-Control", "Vary")}
        return web.Response(status=304, headers=kept)
    if len(response.body) > _WORTH_COMPRESSING:
        response.enable_compression()
    return response

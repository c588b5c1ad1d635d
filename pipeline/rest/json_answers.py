"""JSON answers."""

from typing import Any

import msgspec
from aiohttp import web

from pipeline.rest.formats import Format


def as_json(answer: Any) -> web.Response:
    """Return a response with the JSON of an answer."""
    return web.Response(body=msgspec.json.encode(answer), content_type=Format.JSON.media_type)

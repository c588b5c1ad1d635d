"""JSON answers."""

from typing import Any

from aiohttp import web

from pipeline.json_text import encode_json
from pipeline.rest.formats import Format


def as_json(answer: Any) -> web.Response:
    """Return a response with the JSON of an answer."""
    return web.Response(body=encode_json(answer), content_type=Format.JSON.media_type)

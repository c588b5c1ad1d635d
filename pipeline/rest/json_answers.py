"""JSON answers, and refusals as problem details (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from pipeline.errors import Trouble


def as_json(answer: Any) -> web.Response:
    """Return a response with the JSON of an answer."""
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def refuse(_request: web.Request, status: HTTPStatus, error: Trouble) -> web.Response:
    """Return a response with the problem details of an error."""
    details = {"status": status.value, "title": status.phrase, "detail": str(error)}
    body = msgspec.json.encode(details)
    return web.Response(status=status, body=body, content_type="application/problem+json")

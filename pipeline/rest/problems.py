"""Problems: refusals as problem details (RFC 9457), in JSON."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pipeline.errors import Trouble

PROBLEM_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """Why a request got no answer (RFC 9457)."""

    type: Annotated[str, Meta(description="Always about:blank: the status says what kind of problem it is.")]
    title: Annotated[str, Meta(description="What the status is called.")]
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="What is wrong, and where.")]
    remedy: Annotated[str | None, Meta(description="What to do about it, where that is known.")]


_HERE = {
    "pipeline symbols --all": "/api/v1/companies",
    "pipeline fields": "/api/v1/fields",
    "pipeline history": "/api/v1/history",
}
"""What answers here what a command answers, by the command that an error names."""


def refuse(_request: web.Request, status: HTTPStatus, error: Trouble) -> web.Response:
    """Return a response with the problem details of an error."""
    remedy = None if error.remedy is None else _as_here(error.remedy)
    problem = Problem("about:blank", status.phrase, status.value, _as_here(error.problem), remedy)
    return web.Response(status=status, body=msgspec.json.encode(problem), content_type=PROBLEM_TYPE)


def _as_here(text: str) -> str:
    for command, path in _HERE.items():
        text = text.replace(command, path)
    return text

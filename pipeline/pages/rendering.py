"""Rendering: pages from templates. Every value is escaped: names and descriptions come from outside."""

from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from pipeline.errors import Trouble
from pipeline.web.ask import Ask
from pipeline.web.assets import Assets

_TEMPLATES = Path(__file__).with_name("templates")
ASSETS = Assets.read(Path(__file__).with_name("static"))


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = ASSETS.address
    return environment


def page(ask: Ask, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Return a response with a page."""
    text = _environment().get_template(template).render(ask=ask, **values)
    return web.Response(status=status, text=text, content_type="text/html")


def refuse(_request: web.Request, status: HTTPStatus, error: Trouble) -> web.Response:
    """Return a response with the page for a refusal."""
    text = _environment().get_template("refusal.html").render(title=status.phrase, error=error)
    return web.Response(status=status, text=text, content_type="text/html")

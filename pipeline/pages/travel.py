"""Travel: leads from a page to the same page at another instant. The control of the date asks for it.

A plain form cannot put a value into the path of an address; so it asks /go, which answers with where to go.
"""

from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from aiohttp import web

from pipeline import instants
from pipeline.pages.frame import prefix_of, without_later
from pipeline.web.ask import AS_OF, Ask


async def go(ask: Ask) -> web.Response:
    """Answer with the address of a path (`path`) at an instant (`at`, and `time`); without one, at present."""
    day, time = (ask.first("at") or "").strip(), (ask.first("time") or "").strip()
    text = f"{day}T{time}Z" if day and time else day
    path = own_path(ask.first("path") or "/")
    at = None if not text or text.lower() == "now" else ask.instant_of("at", text, day_ends=True)
    where = path if at is None else prefix_of(_named(text, at)) + without_later(path, at)
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": where})


def _named(text: str, at: datetime) -> str:
    """Return an instant as an address names it: a day as it is, since it means its end, even if it is not over."""
    day = instants.parse_day_or_instant(text, now=at)
    return instants.to_text(at) if isinstance(day, datetime) else day.isoformat()


def own_path(text: str) -> str:
    """Return a path of this site, with its parameters, of a text that may be anything; without an instant in it.

    The answer begins with one slash: two of them, or a backslash, would name another machine.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or not parts.path.startswith("/"):
        return "/"
    path = _from_root(quote(parts.path, safe="/%:@+,;=!$&'()*~"))
    while path.startswith(AS_OF):
        path = _from_root(path.removeprefix(AS_OF).partition("/")[2])
    query = quote(parts.query, safe="=&%:@+,;/?!$'()*~[]")
    return f"{path}?{query}" if query else path


def _from_root(path: str) -> str:
    return "/" + path.lstrip("/")

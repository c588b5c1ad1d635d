"""Rendering: pages from templates. Every value is escaped: names and descriptions come from outside."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from pipeline.errors import Trouble
from pipeline.instants import from_text
from pipeline.model import labels
from pipeline.model.fields import COLUMNS
from pipeline.pages import moments, numbers
from pipeline.pages.absence import CompanyAbsent, explained
from pipeline.pages.elements import change_element, pair_elements, value_element
from pipeline.pages.frame import SECTIONS, Frame
from pipeline.pages.refusal_text import Said
from pipeline.query.history import History
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.web.ask import SITE, Ask
from pipeline.web.assets import Assets

_STATIC = Path(__file__).with_name("static")
ASSETS = Assets.read(_STATIC)
ICON = (_STATIC / "favicon.svg").read_bytes()


def environment(folder: Path) -> jinja2.Environment:
    """Return the environment of the templates in a folder, as they are now.

    They are read at once: an upgrade under a running server must not give it templates of another version.
    """
    made = jinja2.Environment(
        loader=jinja2.DictLoader(
            {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.html"))}
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {
        "asset": ASSETS.address,
        "sections": SECTIONS,
        "fields_by_column": COLUMNS,
        "speeds": labels.SPEEDS,
    }
    made.filters |= {
        "label": labels.label,
        "is_numeric": numbers.is_numeric,
        "quiet": numbers.quiet,
        "unit_note": numbers.unit_note,
        "change": numbers.change,
        "scaled": numbers.scaled,
        "day": moments.day_text,
        "short_day": moments.short_day_text,
        "long_day": moments.long_day_text,
        "from_text": from_text,
        "limit_words": numbers.limit_words,
        "bytes": numbers.bytes_text,
        "minute": moments.minute_text,
        "ago": moments.ago,
        "age": moments.age_text,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "span": moments.span_text,
    }
    made.globals |= {
        "shown": numbers.shown,
        "difference": numbers.difference,
        "value_element": value_element,
        "pair_elements": pair_elements,
        "change_element": change_element,
    }
    return made


_ENVIRONMENT = environment(Path(__file__).with_name("templates"))


async def show(
    ask: Ask, template: str, question: Callable[[History], object], *, otherwise: object | None = None
) -> web.Response:
    """Return a response with the page of a template, which gets what the question returns as `view`.

    Question and template run in one thread of the readers, so that a long page does not hold up the event loop. Where
    nothing is stored yet, the page has the view `otherwise`, or says what to do.
    """
    frame = Frame.of(ask.request, ask.site, ask.at)

    def read(history: History) -> str:
        try:
            view = question(history)
        except SymbolNotFound as error:
            symbol = ask.request.match_info.get("symbol")
            if symbol is None:
                raise
            raise CompanyAbsent(error, explained(ask, history, symbol, error)) from None
        return _render(template, frame, is_invented=history.holds_invented(), view=view)

    text = await ask.read_any(read)
    if text is None:
        template = "empty.html" if otherwise is None else template
        text = _render(template, frame, is_invented=None, view=otherwise)
    return _html(text)


def refuse(request: web.Request, status: HTTPStatus, error: Trouble) -> web.Response:
    """Return a response with the page for a refusal."""
    site = request.app[SITE]
    try:
        at = Ask.of(request, site).at
        frame = Frame.of(request, site, at)
    except Trouble:  # it is the instant that is refused: the page leads to the present
        frame = Frame("", "/", site.present, site.lock, site.present, is_page=False)
    absent = error.absence if isinstance(error, CompanyAbsent) else None
    said = Said.of(error, parameters=request.query)
    text = _render("refusal.html", frame, is_invented=None, status=status, said=said, absent=absent)
    return _html(text, status)


def _render(template: str, frame: Frame, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(frame=frame, **values)


def _html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8")

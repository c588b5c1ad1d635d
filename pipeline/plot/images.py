"""Pictures of Vega-Lite specs as SVG, PNG and PDF, and the scripts of a page, by vl-convert. Needs the extra `plot`."""

import re
from functools import cache
from html import escape
from typing import Any

import vl_convert

from pipeline.plot.html_page import START
from pipeline.plot.palette import LIGHT, theme

VEGA_LITE = "6.1"
"""Of those that vl-convert carries, the last whose tooltips show texts: 6.4 looks for them in the wrong place."""
_SCALE = 1.6
"""Pixels of a PNG to each of the spec."""
_CLIP = re.compile(r'(<clipPath id="clip|clip-path="url\(#clip)([0-9]+)')
_OPENING = re.compile("<svg [^<>]*>")


def svg(spec: dict[str, Any]) -> str:
    """Return the picture as SVG, with a title, and with a description for those who cannot see it."""
    text = vl_convert.vegalite_to_svg(spec, config=theme(LIGHT), vl_version=VEGA_LITE, allowed_base_urls=[])
    opening = _OPENING.match(text)
    assert opening is not None
    text = _renumbered(text)
    words = f"<title>{escape(spec['title']['text'])}</title><desc>{escape(spec['description'])}</desc>"
    return f'{text[: opening.end() - 1]} role="img">{words}{text[opening.end() :]}'


def _renumbered(text: str) -> str:
    """Return the SVG with its clips numbered from 0: Vega counts on from picture to picture."""
    numbers: dict[str, str] = {}
    return _CLIP.sub(lambda found: found[1] + numbers.setdefault(found[2], str(len(numbers))), text)


def png(spec: dict[str, Any]) -> bytes:
    """Return the picture as PNG."""
    return vl_convert.vegalite_to_png(
        spec, config=theme(LIGHT), scale=_SCALE, vl_version=VEGA_LITE, allowed_base_urls=[]
    )


def pdf(spec: dict[str, Any]) -> bytes:
    """Return the picture as PDF, of one page."""
    return vl_convert.vegalite_to_pdf(spec, config=theme(LIGHT), vl_version=VEGA_LITE, allowed_base_urls=[])


@cache  # it takes a second or more
def script() -> str:
    """Return the script of a page: Vega's libraries, and what draws the picture."""
    return vl_convert.javascript_bundle(START, vl_version=VEGA_LITE)


def library() -> str:
    """Return Vega's libraries as a script that defines `vegaEmbed`, for pages that have a script of their own."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)

"""What crawlers and browsers ask for at fixed addresses: that nothing is to be crawled, and the icon."""

from aiohttp import web

from pipeline.pages.rendering import ICON
from pipeline.web.ask import Ask


async def robots(_ask: Ask) -> web.Response:
    """Answer that nothing is to be crawled: each page exists once for each instant."""
    return web.Response(text="User-agent: *\nDisallow: /\n", content_type="text/plain", charset="utf-8")


async def icon(_ask: Ask) -> web.Response:
    """Answer with the icon, for browsers that ask for it without reading a page."""
    return web.Response(body=ICON, content_type="image/svg+xml")

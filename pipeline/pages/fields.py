"""The page of all fields of an overview."""

from aiohttp import web

from pipeline.model.fields import CATALOGUE
from pipeline.pages.rendering import show
from pipeline.web.ask import Ask


async def fields(ask: Ask) -> web.Response:
    """Answer with the fields, in the order of the API's document."""
    return await show(ask, "fields.html", lambda _: CATALOGUE, otherwise=CATALOGUE)

"""`/api/v1/fields`: the fields of an overview."""

import msgspec
from aiohttp import web

from pipeline.model.fields import CATALOGUE
from pipeline.rest.json_answers import as_json
from pipeline.web.ask import Ask


class FieldAnswer(msgspec.Struct, frozen=True):
    """A field of an overview."""

    field: str
    name: str
    """As the API writes it."""
    kind: str
    part: str
    unit: str


async def fields(_ask: Ask) -> web.Response:
    """Answer the fields, in the order of the API's document."""
    return as_json([FieldAnswer(one.column, one.name, one.kind, one.part, one.unit) for one in CATALOGUE])

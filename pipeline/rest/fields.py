"""`/api/v1/fields`: the fields of an overview."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.model.fields import CATALOGUE, Kind
from pipeline.query.results import Answer, Column
from pipeline.rest.endpoints import Fixed
from pipeline.rest.parameters import Paged
from pipeline.rest.tables import Table


class FieldsOf(Paged, frozen=True, kw_only=True):
    """What `/fields` takes."""


class OverviewField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an overview."""

    field: Annotated[str, Meta(description="The column.", examples=["pe_ratio"])]
    name: Annotated[str, Meta(description="As the API writes it.", examples=["PERatio"])]
    kind: Literal["text", "integer", "real", "date"]
    part: Annotated[Literal["profile", "reported", "daily"], Meta(description="How often it changes.")]
    unit: str
    fiscal: Annotated[bool, Meta(description="Whether it comes from a quarter's statements.")]
    missing: Annotated[str, Meta(description='How the API usually writes "no value" in it.')]
    description: str


_COLUMNS = [Column(name, Kind.BOOLEAN if name == "fiscal" else Kind.TEXT) for name in OverviewField.__struct_fields__]
_ROWS = [
    (one.column, one.name, one.kind.value, one.part.value, one.unit, one.is_fiscal, one.missing, one.description)
    for one in CATALOGUE
]


def fields() -> Table:
    """Return the fields, in the order of the API's document."""
    places = {row[0]: f"{place:03}" for place, row in enumerate(_ROWS)}
    return Table(Answer(_COLUMNS, lambda: iter(_ROWS), OverviewField), lambda row: (places[row[0]],))


FIELDS: Fixed[FieldsOf] = Fixed(
    "/fields",
    "fields",
    "The fields of an overview",
    "In the order of the API's document, with their types, units and what they are.",
    FieldsOf,
    OverviewField,
    fields,
)

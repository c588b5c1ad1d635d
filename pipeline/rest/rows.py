"""Rows: the types of what the rows of tables hold, made of the field catalogue where they hold fields."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pipeline.model.fields import CATALOGUE, SYMBOL_FIELD, Field, Kind

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-03-14T18:30:00.123Z"])]
"""As stored: in UTC, to the millisecond."""
Day = Annotated[str, Meta(extra_json_schema={"format": "date"}, examples=["2025-12-31"])]
Symbol = Annotated[str, Meta(description="The company's newest symbol.", examples=["IBM"])]
ObservedAt = Annotated[Instant, Meta(description="When the snapshot was first seen.")]
ConfirmedAt = Annotated[
    Instant, Meta(description="When it was last seen unchanged, not after the instant that is asked about.")
]
StalenessHours = Annotated[
    float, Meta(ge=0, description="How long before the instant it was last seen.", examples=[18.25])
]
ObservedSymbol = Annotated[
    str | UnsetType,
    Meta(description="The symbol that the company had in the snapshot; only in records that know a rename."),
]
_TYPES: dict[Kind, Any] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.REAL: float, Kind.DATE: Day}


def type_of(field: Field) -> Any:
    """Return the type of a field's values in JSON."""
    unit = f" ({field.unit})" if field.unit else ""
    described = Meta(description=f"{field.description}{unit}. {field.name} in the API.")
    return Annotated[_TYPES[field.kind] | None, described]


def with_fields(base: type[msgspec.Struct], *names: str) -> type[msgspec.Struct]:
    """Return a type of rows that also have some of the fields of the catalogue: all, or those of these names."""
    fields = [field for field in CATALOGUE if field is not SYMBOL_FIELD and (not names or field.column in names)]
    optional = [(field.column, type_of(field) | UnsetType, UNSET) for field in fields]
    return msgspec.defstruct(base.__name__.removesuffix("Base"), optional, bases=(base,), frozen=True, kw_only=True)

"""Parameters: what a request asks for, read from its path and query string into a struct that says what is valid."""

from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from msgspec.inspect import BoolType, IntType, LiteralType, Metadata, NoneType, StrType, UnionType, type_info
from multidict import MultiMapping

from pipeline.decoding import split_reason
from pipeline.instants import FORMS
from pipeline.model.fields import ALL, CATALOGUE
from pipeline.text import quoted
from pipeline.web.parameters import check_once, unknown
from pipeline.web.refusals import Refusal

MOST_ROWS = 10_000
"""Of a page."""
FIELD_NAMES = [ALL, *(field.column for field in CATALOGUE), *(field.name for field in CATALOGUE)]
_INSTANT_FORMS = {
    "anyOf": [
        {"format": "date"},
        {"format": "date-time"},
        {"enum": ["now", "today", "yesterday"]},
        {"pattern": "^[0-9]{1,6}[mhdw]$"},
    ],
    "examples": ["2026-03-14", "2026-03-14T18:30Z", "7d"],
}
AFTER = r"^[^~]*(~[^~]*){0,2}~[0-9]{1,9}$"
_SPAN = r"^[0-9]{1,6}[mhdw]$"

Text = Annotated[str, Meta(min_length=1, max_length=200)]
InstantText = Annotated[Text, Meta(extra_json_schema=_INSTANT_FORMS)]
SpanText = Annotated[Text, Meta(pattern=_SPAN, examples=["90m", "48h", "1d", "2w"])]
SymbolText = Annotated[Text, Meta(examples=["IBM", "BRK-B"])]
FieldText = Annotated[Text, Meta(extra_json_schema={"enum": FIELD_NAMES})]
Symbols = Annotated[
    tuple[SymbolText, ...],
    Meta(
        description=(
            "Only these companies: symbols in any case, old or new, class shares as BRK.B or BRK-B. Repeat it, or put"
            " commas between."
        )
    ),
]
Fields = Annotated[
    tuple[FieldText, ...],
    Meta(
        description=(
            "A column (`pe_ratio`) or the API's name (`PERatio`); `all` is every one. Repeat it, or put commas between."
            " Without it: a few important ones."
        )
    ),
]
Since = Annotated[InstantText, Meta(description="Observed then or later. A date means its start, in UTC.")]
Until = Annotated[
    InstantText,
    Meta(
        description="Observed then or earlier, and not after the instant of the address. A date means its end, in UTC."
    ),
]
Hours = Annotated[
    Text,
    Meta(
        pattern=r"^([0-9]{1,9}(\.[0-9]{1,9})?|[0-9]{1,6}[mhdw])$",
        description="Leave out what was last seen longer before: hours (`48`), or a span (`90m`, `2d`, `1w`).",
        examples=["48", "2d"],
    ),
]
InUniverse = Annotated[
    bool, Meta(description="Only companies that were configured at that time: no survivorship bias.")
]


class Paged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a table is asked for."""

    limit: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_ROWS)] | None,
        Meta(
            description=(
                "The most rows of a page. The JSON has 100 without it. CSV and Parquet have the whole table, or are"
                " refused with 413 where that is too large."
            )
        ),
    ] = None
    after: Annotated[
        Annotated[str, Meta(pattern=AFTER, max_length=4_000)] | None,
        Meta(description="Where the page begins: use the `next` link of the page before."),
    ] = None
    excel: Annotated[bool, Meta(description="CSV that Excel opens as UTF-8: with a byte order mark.")] = False


class Unpaged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question that is answered whole."""


P = TypeVar("P", bound=msgspec.Struct)


def read_parameters(kind: type[P], path: Mapping[str, str], query: MultiMapping[str]) -> P:
    """Return the parameters of a request. `path`: those that the path names.

    Raise Refusal for a name that is unknown, for a value that is empty or invalid, and for one given twice that may
    not be.
    """
    types = {one.encode_name: one.type for one in _fields(kind)}
    given: dict[str, Any] = {name: value.strip() for name, value in path.items()}
    for name in dict.fromkeys(query):
        if name not in types or name in path:
            raise unknown(name, [one for one in types if one not in path])
        given[name] = _values(name, query.getall(name), types[name])
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        name = split_reason(error)[1].partition("[")[0]
        raise _invalid(name, given.get(name), types.get(name)) from None


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    """Return what the parameters may be. To find out takes 0.1 ms: a third of a small answer."""
    info = type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return info.fields


def is_list(kind: msgspec.inspect.Type) -> bool:
    """Whether a parameter may be given several times."""
    return any(isinstance(one, msgspec.inspect.VarTupleType) for one in alternatives(kind))


def alternatives(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """Yield what a parameter may be, without what is only said of it."""
    while isinstance(kind, Metadata):
        kind = kind.type
    if isinstance(kind, UnionType):
        for one in kind.types:
            yield from alternatives(one)
    else:
        yield kind


def _values(name: str, texts: list[str], kind: msgspec.inspect.Type) -> str | list[str]:
    """Return the value of a parameter, or its values. Spaces around go: `$` in a pattern admits a line end."""
    if not is_list(kind):
        check_once(name, len(texts))
    values = [one.strip() for text in texts for one in (text.split(",") if is_list(kind) else (text,))]
    if not all(values):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is empty", remedy="give it a value, or leave it out")
    if values == ["null"] and not any(isinstance(one, StrType) for one in alternatives(kind)):
        raise _invalid(name, "null", kind)  # msgspec takes it for None
    return values if is_list(kind) else values[0]


def _invalid(name: str, given: object, kind: msgspec.inspect.Type | None) -> Refusal:
    value = given if isinstance(given, str) else ",".join(given) if isinstance(given, list) else ""
    usage = (
        "; ".join(_usage(one, name) for one in alternatives(kind) if not isinstance(one, NoneType))
        if kind is not None
        else ""
    )
    return Refusal(HTTPStatus.BAD_REQUEST, f"invalid {name} {quoted(value)}", remedy=usage or None)


def _usage(kind: msgspec.inspect.Type, name: str) -> str:
    """Return how to write a value of a parameter."""
    match kind:
        case IntType():
            return f"use a whole number from {kind.ge} to {kind.le:,}"
        case BoolType():
            return "use true or false"
        case LiteralType():
            return f"use one of {', '.join(map(str, kind.values))}"
        case _:
            return _SPELLINGS.get(name, "use a text of 1 to 200 characters")


_SPELLINGS = {
    **dict.fromkeys(("at", "since", "until"), f"use {FORMS}"),
    "max_staleness": "use hours, such as 48 or 0.5, or a span, such as 90m or 2d",
    "lag": "use a span, such as 90m, 1d or 2w",
    "min_change": "use 5% or 0.05",
    "after": "use the next link of the page before, or leave it out for the first page",
}

"""Arguments: the parameters that tools share, each with its JSON Schema, and how a call's are read."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from pipeline.agents.refusals import BadCall
from pipeline.decoding import split_reason
from pipeline.text import printable, quoted

LARGEST_LIMIT = 1_000
_SYMBOL = r"^[A-Za-z0-9.:/&@()\-]{1,48}$"
_FIELD = r"^[A-Za-z0-9_\-]{1,60}$"


def _bound(meaning: str) -> Meta:
    """Return what describes the instant that bounds what an answer may know."""
    return Meta(
        description=(
            f"{meaning}: nothing observed later takes part. A date (2026-03-14) means its end in UTC; or "
            "2026-03-14T18:30Z; or now, today, yesterday, or a span ago (3h, 7d, 2w). In a backtest, pass the "
            "simulated day."
        ),
        examples=["2026-03-14", "2026-03-14T18:30Z", "now"],
        min_length=1,
        max_length=40,
    )


AtText = Annotated[str, _bound("The instant to answer for")]
UntilText = Annotated[str, _bound("The end, inclusive")]
SinceText = Annotated[
    str,
    Meta(
        description="The beginning, inclusive. A date means its start in UTC; or an instant, or a span ago.",
        examples=["2026-01-01", "30d"],
        min_length=1,
        max_length=40,
    ),
]
SymbolText = Annotated[
    str,
    Meta(description="A ticker, such as AAPL or BRK-B, in any case.", examples=["AAPL"], pattern=_SYMBOL),
]
FieldText = Annotated[str, Meta(pattern=_FIELD)]
Fields = Annotated[
    list[FieldText],
    Meta(
        description="Fields by column (pe_ratio) or by the API's name (PERatio). The tool overview names them all.",
        examples=[["pe_ratio", "eps"]],
        max_length=60,
    ),
]
Hours = Annotated[float, Meta(ge=0, le=1_000_000)]
Limit = Annotated[int, Meta(description="Rows at most.", ge=1, le=LARGEST_LIMIT)]
CursorText = Annotated[
    str,
    Meta(
        description="To go on with a cut answer: its `next_cursor`, with all other arguments as before.",
        max_length=60,
    ),
]


class Arguments(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a tool is called with."""

    BOUND = "at"
    """The name of the argument that bounds what the answer may know."""

    @property
    def bound(self) -> str:
        """The text of that argument."""
        text: str = getattr(self, self.BOUND)
        return text


class AtArguments(Arguments, kw_only=True, frozen=True):
    """The arguments of a tool that answers for an instant."""

    at: AtText


class UntilArguments(Arguments, kw_only=True, frozen=True):
    """The arguments of a tool that answers for an interval."""

    BOUND = "until"

    until: UntilText


A = TypeVar("A", bound=Arguments)

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_PATTERN = re.compile(r"matching regex .*", re.DOTALL)


def read_arguments(tool: str, kind: type[A], given: Mapping[str, Any]) -> A:
    """Return a call's arguments. Raise BadCall, with what the tool takes, for any that do not fit.

    Forgives what models get wrong: numbers and lists as text, a list of one without its brackets, and null for what is
    left out.
    """
    lists = _list_names(kind)
    kept = {
        name: _as_list(value) if name in lists and isinstance(value, str) else value
        for name, value in given.items()
        if value is not None
    }
    try:
        return msgspec.convert(kept, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(tool, kind, *split_reason(error)) from None
    except UnicodeEncodeError:
        raise _bad(tool, kind, "half a surrogate pair is no character", "") from None


def _as_list(text: str) -> list[Any]:
    """Return the list that a text stands for: JSON, or names with commas between."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return found
    return [one.strip() for one in text.split(",") if one.strip()]


def _list_names(kind: type[Arguments]) -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(kind).items() if get_origin(hint) is list)


def _bad(tool: str, kind: type[Arguments], problem: str, place: str) -> BadCall:
    takes = f"{tool} takes {', '.join(kind.__struct_fields__)}"
    if missing := _MISSING.fullmatch(problem):
        remedy = f"pass it{_example(kind, missing[1])}; {takes}"
        return BadCall(f"argument {quoted(missing[1])} is missing", remedy=remedy)
    if unknown := _UNKNOWN.fullmatch(problem):
        return BadCall(f"unknown argument {quoted(unknown[1])}", remedy=takes)
    if place:
        wrong = _PATTERN.sub("of the usual form", f"{problem[:1].lower()}{problem[1:]}")
        return BadCall(f"argument {place}: {printable(wrong)}", remedy=f"pass one{_example(kind, place)}")
    return BadCall(printable(problem), remedy=takes)


def _example(kind: type[Arguments], place: str) -> str:
    """Return what the argument at a place such as `symbols[0]` may be, as the end of a sentence."""
    name = re.match(r"\w*", place)
    hint = get_type_hints(kind, include_extras=True).get(name[0] if name else "")
    if choices := [one for part in _parts(hint) if get_origin(part) is Literal for one in get_args(part)]:
        return f" of {', '.join(choices)}"
    found = [one for part in _parts(hint) for meta in _metas(part) for one in meta.examples or ()]
    return f", such as {json.dumps(found[0])}" if found else ""


def _parts(hint: Any) -> list[Any]:
    """Return a type, and what it is made of."""
    return [hint, *(one for part in get_args(hint) if not isinstance(part, Meta) for one in _parts(part))]


def _metas(hint: Any) -> list[Meta]:
    return [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Meta)]

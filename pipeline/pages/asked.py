"""What a page is asked for: instants, fractions and fields of a request, or a refusal that says how to write them."""

import re
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from pipeline import instants
from pipeline.model.fields import CATALOGUE, Field, find_fields
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

_FRACTION = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?%|0?\.[0-9]{1,12}|0")


def instant_of(ask: Ask, name: str, *, day_ends: bool) -> datetime | None:
    """Return the instant of a parameter, or the page's if that is earlier; None if there is none.

    Raise Refusal for an invalid one.
    """
    text = ask.first(name)
    if text is None:
        return None
    try:
        at = instants.parse(text, now=ask.at, day_ends=day_ends)
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: {error}") from None
    return min(at, ask.at)


def fraction_of(ask: Ask, name: str) -> float:
    """Return the fraction of a parameter, written 5% or 0.05; 0 if there is none. Raise Refusal for an invalid one."""
    text = (ask.first(name) or "0").strip().replace(" ", "")
    if _FRACTION.fullmatch(text) is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: invalid fraction {text[:20]!r}: use 5% or 0.05")
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def fields_of(
    ask: Ask, default: Sequence[Field], *, most: int = len(CATALOGUE), every: Sequence[Field] = CATALOGUE
) -> tuple[Field, ...]:
    """Return the fields that the parameter `field` names; `every` of them for `all`, and the default ones for none.

    Raise FieldNotFound for one that does not exist, and Refusal for too many.
    """
    named = find_fields(ask.all("field"), default, every=every)
    if len(named) > most:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"name up to {most} fields: these are {len(named)}")
    return named

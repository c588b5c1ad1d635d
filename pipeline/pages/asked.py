"""What a page is asked for: instants, fractions and fields of a request, or a refusal that says how to write them."""

import re
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from pipeline.model.fields import CATALOGUE, Field, find_fields
from pipeline.query.reach import check_order
from pipeline.text import quoted
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_FRACTION = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?%|0?\.[0-9]{1,12}|0")


def interval_of(ask: Ask) -> tuple[datetime | None, datetime | None]:
    """Return the instants of the parameters `since` and `until`; None where there is none.

    Raise Trouble for one that is invalid or may not be asked about, and if it ends before it begins.
    """
    since, until = ask.instant("since", day_ends=False), ask.instant("until", day_ends=True)
    check_order(since, until or ask.at)
    return since, until


def fraction_of(ask: Ask, name: str) -> float:
    """Return the fraction of a parameter, written 5% or 0.05; 0 if there is none. Raise Refusal for an invalid one."""
    text = (ask.first(name) or "0").strip().replace(" ", "")
    if _FRACTION.fullmatch(text) is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid {name} {quoted(text)}", remedy="use 5% or 0.05")
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def flag_of(ask: Ask, name: str) -> bool:
    """Return whether a parameter says yes; no if there is none. Raise Refusal for anything else."""
    text = (ask.first(name) or "no").strip().lower()
    if text not in (*_YES, *_NO):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid {name} {quoted(text)}", remedy="use true or false")
    return text in _YES


def fields_of(ask: Ask, default: Sequence[Field], *, every: Sequence[Field] = CATALOGUE) -> tuple[Field, ...]:
    """Return the fields that the parameter `field` names; `every` of them for `all`, and the default ones for none.

    Raise FieldNotFound for one that does not exist.
    """
    return find_fields(ask.all("field"), default, every=every)

"""Parameters: the names that a path takes. One that it does not take is refused: no question is answered as another."""

import difflib
from collections.abc import Collection
from http import HTTPStatus

from multidict import MultiMapping

from pipeline.text import few, quoted
from pipeline.web.refusals import Refusal


def check_names(query: MultiMapping[str], known: Collection[str], *, repeated: Collection[str] = ()) -> None:
    """Raise Refusal for a parameter that is none of the known ones, or given several times and none of the repeated."""
    for name in dict.fromkeys(query):
        if name not in known:
            raise unknown(name, known)
        if name not in repeated:
            check_once(name, len([text for text in query.getall(name) if text]))


def check_once(name: str, times: int) -> None:
    """Raise Refusal for a parameter that is given several times."""
    if times > 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is given {times} times", remedy="give it once")


def unknown(name: str, known: Collection[str]) -> Refusal:
    """Return the refusal of a parameter, which names the nearest one, or all."""
    near = difflib.get_close_matches(name.lower(), known, n=1)
    names = f"known are {few(sorted(known), 20)}" if known else "this path takes none"
    remedy = f"did you mean {near[0]}?" if near else names
    return Refusal(HTTPStatus.BAD_REQUEST, f"unknown parameter {quoted(name)}", remedy=remedy)

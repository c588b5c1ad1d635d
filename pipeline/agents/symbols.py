"""Symbols in calls: the companies that they name, as far as the record knew them at the instant asked about."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from msgspec import Meta

from pipeline.agents.refusals import BadCall
from pipeline.agents.tool import Question, Row
from pipeline.store.stored_symbols import SymbolNotFound


class Missing(Row, kw_only=True, frozen=True):
    """A symbol of which there is nothing to answer."""

    symbol: str
    why: Annotated[str, Meta(description="What is wrong, and what to do.")]


def find_company(question: Question[Any], symbol: str) -> str:
    """Return the name of a company: its newest symbol. Raise BadCall, with similar ones, if nothing was known of it."""
    try:
        (name,) = question.history.check_symbols([symbol])
    except SymbolNotFound as error:
        raise _unknown(question, error) from None
    return name


def find_companies(question: Question[Any], symbols: Iterable[str]) -> tuple[list[str], list[Missing]]:
    """Return the names of companies in the order asked for, and the symbols of which nothing was known.

    Raise BadCall if nothing was known of any.
    """
    found: dict[str, None] = {}
    missing: list[Missing] = []
    errors: list[BadCall] = []
    for symbol in dict.fromkeys(symbols):
        try:
            found[find_company(question, symbol)] = None
        except BadCall as error:
            errors.append(error)
            missing.append(Missing(symbol=symbol, why=str(error)))
    if errors and not found:
        raise errors[0]
    return list(found), missing


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """Return a line for each symbol of which there is nothing to answer."""
    return [f"missing {one.symbol}: {one.why}" for one in missing]


def _unknown(question: Question[Any], error: SymbolNotFound) -> BadCall:
    hint = f"did you mean {' or '.join(error.near)}? " if error.near else ""
    why = "" if error.why is None else f": {error.why}"
    return BadCall(
        f"{error.lacking} at {question.at_text}{why}",
        remedy=f"{hint}the tool companies finds them, with search='apple'",
    )

"""Absence: why a record has no company of a symbol, and which ones to look at instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.query.history import History
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.web import readings
from pipeline.web.ask import Ask

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Absence:
    """What is known of a symbol without a company."""

    symbol: str
    near: Sequence[str]
    """Similar symbols that have one."""
    uncovered_since: datetime | None
    """When the API first answered that it does not cover it; None: it never did."""
    is_configured: bool
    examples: Sequence[str]
    """Some companies of a record that holds invented ones only; empty for one of real ones."""


class CompanyAbsent(SymbolNotFound):
    """A symbol has no snapshot, and the page says why."""

    def __init__(self, error: SymbolNotFound, absence: Absence) -> None:
        """Take what the record says of the symbol, too."""
        super().__init__(error.lacking, remedy=error.remedy, symbol=error.symbol, why=error.why, near=error.near)
        self.absence = absence


def absence_of(ask: Ask, history: History, text: str) -> Absence | None:
    """Return why there is no company of a symbol; None if there is one, or nothing at all is stored."""
    try:
        history.check_symbols([text])
    except SymbolNotFound as error:
        return explained(ask, history, text, error)
    return None


def explained(ask: Ask, history: History, text: str, error: SymbolNotFound) -> Absence:
    """Return what the record says of a symbol that was not found."""
    symbol = text.upper()
    is_invented = history.holds_invented()
    examples = readings.symbols(ask, history)[:_EXAMPLES] if is_invented else ()
    return Absence(symbol, error.near, history.uncovered_since(symbol), symbol in history.configured(), examples)

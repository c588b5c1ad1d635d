"""Readings: what several pages and paths ask of a record at an instant. What takes long is read once for all."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pipeline.model.fields import Field
from pipeline.query.history import History
from pipeline.query.last_seen import LastSeen
from pipeline.query.results import Row
from pipeline.store.drift import Drift
from pipeline.web.ask import Ask


def symbols(ask: Ask, history: History) -> Sequence[str]:
    """Return the symbols of all companies, in order."""
    return ask.remembered("symbols", history.symbols)


def companies(ask: Ask, history: History, fields: Sequence[Field]) -> Sequence[Row]:
    """Return the rows of an as-of answer about all companies."""
    return ask.remembered(("companies", tuple(fields)), lambda: list(history.as_of(ask.at, fields=fields).rows()))


def company_names(ask: Ask, history: History, some: Collection[str]) -> Mapping[str, str]:
    """Return what some companies were called, by symbol. One of which no name was known is left out."""
    if not some:
        return {}
    found = ((one.symbol, str(one["name"] or "").strip()) for one in history.as_of(ask.at, sorted(some), ["name"]))
    return {symbol: name for symbol, name in found if name}


def first_observed_at(ask: Ask, history: History) -> datetime | None:
    """Return when the first snapshot of all was observed; None where there is none."""
    return ask.remembered("first observed", history.first_observed_at)


def last_seen(ask: Ask, history: History) -> Sequence[LastSeen]:
    """Return for each symbol when it was last observed."""
    return ask.remembered("last seen", history.last_seen)


def drift(ask: Ask, history: History) -> Drift:
    """Return where the newest documents and the field catalogue disagree."""
    return ask.remembered("drift", history.drift)

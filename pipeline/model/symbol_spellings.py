"""Symbol spellings: symbols as other programs write them, read as the API's. What may be meant is never left out."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pipeline.model.symbols import Symbol, parse_symbol, requested_as
from pipeline.text import few, quoted


class Change(StrEnum):
    """What was changed of a symbol, or has to be known about it. As text, the beginning of a note."""

    EXCHANGE = "exchange left out, as the API does for the USA"
    DOLLAR = "dollar sign left out"
    REQUESTED = "class shares are requested as the API writes them"
    FOREIGN = "kept as written, but the API puts the exchange behind, as in TSCO.LON"


class Reading(NamedTuple):
    """A text read as a symbol."""

    text: str
    symbol: Symbol
    changes: tuple[Change, ...] = ()


_OF_THE_USA = "NASDAQ|NASDAQGS|NASDAQGM|NASDAQCM|NYSE|NYSEARCA|NYSEAMERICAN|NYSEMKT|AMEX|ARCA|BATS|CBOE|OTC|OTCMKTS|US"
_PREFIXED = re.compile(rf"(?:{_OF_THE_USA}):(.+)", re.IGNORECASE)
_SUFFIXED = re.compile(r"(.+)[.:]US", re.IGNORECASE)
_FOREIGN = re.compile(r"[A-Z]{2,}:[A-Z0-9.-]+")
_OF_THE_LISTING = re.compile(r".+:BAT")
"""How LISTING_STATUS writes some symbols of Bats: that is no prefix of an exchange."""
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.IGNORECASE)


def read_symbol(text: str) -> Reading:
    """Return the symbol that a text stands for, and what was changed. Raise ValueError for what is none."""
    bare, changes = text, []
    if text.startswith("$"):
        bare, changes = text[1:], [Change.DOLLAR]
    for pattern in (_PREFIXED, _SUFFIXED):
        if found := pattern.fullmatch(bare):
            bare, changes = found[1], [*changes, Change.EXCHANGE]
    if _ISIN.fullmatch(bare):
        raise ValueError(f"invalid symbol {quoted(text)}: this is an ISIN, and the API knows only symbols")
    try:
        symbol = parse_symbol(bare)
    except ValueError:
        parse_symbol(text)  # if it is invalid too, the error names the text as it was given
        raise
    if requested_as(symbol) != symbol:
        changes.append(Change.REQUESTED)
    if _FOREIGN.fullmatch(symbol) and not _OF_THE_LISTING.fullmatch(symbol):
        changes.append(Change.FOREIGN)
    return Reading(text, symbol, tuple(changes))


def notes_on(readings: Iterable[Reading]) -> list[str]:
    """Return a line for each kind of change, with a few of the symbols that it was made of."""
    changed: dict[Change, list[str]] = {}
    for reading in readings:
        for change in reading.changes:
            after = requested_as(reading.symbol) if change is Change.REQUESTED else reading.symbol
            before = reading.symbol if change is Change.REQUESTED else reading.text
            changed.setdefault(change, []).append(before if before == after else f"{after} for {before}")
    return [f"{change}: {few(list(dict.fromkeys(names)), 4)}" for change, names in changed.items()]

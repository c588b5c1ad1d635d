"""Symbols: which texts are valid, which name the same company, and how fresh a symbol's data is."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from pipeline.text import quoted

Symbol = NewType("Symbol", str)


_SYMBOL = re.compile(r"-?[A-Z0-9]+(?:[-.:/&][A-Z0-9]+)*(?:\([A-Z0-9]+\))?")
"""The forms that LISTING_STATUS contains: BRK-B, XXX-P-A, AGZ:BAT, BC/PB, and once each -P-HIZ and NXT(EXP20091224).

Other exchanges have suffixes (TSCO.LON), and India's have symbols such as M&M.BSE.
"""
_LONGEST_SYMBOL = 32


def parse_symbol(text: str) -> Symbol:
    """Return the text as a symbol, in upper case. Raise ValueError for an invalid one."""
    upper = text.upper() if text.isascii() else text
    if len(upper) > _LONGEST_SYMBOL or _SYMBOL.fullmatch(upper) is None:
        raise ValueError(
            f"invalid symbol {quoted(text)}: use letters and digits, joined by - . : / or &, such as BRK-B"
        )
    return Symbol(upper)


_CLASS_SHARE = re.compile(r"([A-Z]{1,5})\.([ABC])")
"""A share of a class. Other letters after a dot may be an exchange, as in VOD.L; so may several, as in TSCO.LON."""

_HYPHENATED = re.compile(_CLASS_SHARE.pattern.replace(r"\.", "-"))


def requested_as(symbol: Symbol) -> str:
    """Return the symbol as the API writes it: class shares with a hyphen, BRK-B for BRK.B."""
    return _CLASS_SHARE.sub(r"\1-\2", symbol) if _CLASS_SHARE.fullmatch(symbol) else symbol


def spellings(symbol: Symbol) -> tuple[Symbol, ...]:
    """Return the symbol, and how else it may be written: a class share with a dot and with a hyphen."""
    dotted = _HYPHENATED.sub(r"\1.\2", symbol) if _HYPHENATED.fullmatch(symbol) else symbol
    return tuple(dict.fromkeys((symbol, Symbol(requested_as(symbol)), Symbol(dotted))))


def same_company(requested: str, answered: object) -> bool:
    """Whether an answer's Symbol names the requested company. No other code decides this.

    Class shares are listed with a dot and answered with a hyphen: BRK.B and BRK-B are the same company.
    """
    return (
        isinstance(answered, str)
        and answered.isascii()
        and answered.upper().replace(".", "-") == requested.replace(".", "-")
    )


@dataclass(frozen=True, slots=True)
class SymbolList:
    """The symbols that a configuration lists."""

    configuration: str
    """Which one: the absolute path of its file; empty if there is none, and variables list them."""
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class SymbolFreshness:
    """When a symbol was last observed and last requested, as the database has it."""

    symbol: Symbol
    last_observed_at: datetime | None
    """When the API last sent its overview, or for a symbol without snapshots, said that it does not cover it."""
    last_tried_at: datetime | None
    """When it was last requested, with any outcome."""
    next_try_at: datetime | None
    """For a symbol that is not covered, and not asked again as usual: when it is due again."""
    is_uncovered: bool = False
    """Whether it has snapshots, and the API has answered since that it does not cover the symbol."""
    is_unanswered: bool = False
    """Whether the process was killed during its last request."""

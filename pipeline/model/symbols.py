"""Symbols: which texts can be one, and when two name the same company."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

Symbol = NewType("Symbol", str)


# Symbols


_SYMBOL = re.compile(r"-?[A-Z0-9]+(?:[-.:/][A-Z0-9]+)*(?:\([A-Z0-9]+\))?")
"""What LISTING_STATUS lists: BRK-B, XXX-P-A, AGZ:BAT, BC/PB, and in one case -P-HIZ or NXT(EXP20091224)."""
_LONGEST_SYMBOL = 32


def parse_symbol(text: str) -> Symbol:
    """Return the text as a symbol, in upper case. Raise ValueError, saying why, for what cannot be one."""
    upper = text.upper() if text.isascii() else text
    if len(upper) > _LONGEST_SYMBOL or _SYMBOL.fullmatch(upper) is None:
        raise ValueError(f"{text[:40]!r} is no symbol: letters and digits, joined by - . : or / (BRK-B)")
    return Symbol(upper)


def same_company(asked: str, answered: object) -> bool:
    """Whether an answer's Symbol names the company asked for. This is the one place where that is decided.

    Class shares are listed with a dot and answered with a hyphen (BRK.B, BRK-B): the same company.
    """
    return (
        isinstance(answered, str)
        and answered.isascii()
        and answered.upper().replace(".", "-") == asked.replace(".", "-")
    )


@dataclass(frozen=True, slots=True)
class SymbolFreshness:
    """What the file knows of a symbol's freshness."""

    symbol: Symbol
    last_observed_at: datetime | None
    """When the API last told us of it, be it that it does not cover it."""
    last_tried_at: datetime | None
    """When it was last asked, whatever came of it."""
    next_try_at: datetime | None
    """Not covered, and not to be asked again before this."""

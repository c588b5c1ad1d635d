"""The documents that the measuring server sends: 55 fields, 2.5 kB, each different in every part."""

import json
from collections.abc import Iterator
from datetime import date
from itertools import islice

from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.sandbox.companies import Companies

_MODELS = 256
"""Companies that all documents are made from: to invent one takes a millisecond, to alter one a microsecond."""
DAY = date(2026, 3, 13)
_DESCRIPTION = 740
"""Characters. The sandbox's own descriptions are shorter than real ones."""
_OF_ITS_OWN = ("Symbol", "CIK", "MarketCapitalization", "SharesOutstanding")
"""The symbol and a field of each part, so that nothing is shared and every row of every table is written. (Market value
changes by the day, as it does.)"""
_FIRST = 1_000_000


def symbols(count: int) -> tuple[Symbol, ...]:
    """Return `count` symbols, the first ones always the same."""
    return tuple(parse_symbol(f"S{number:06d}") for number in range(count))


class Documents:
    """Makes the document of a symbol on a day in a few microseconds, so that the server is not the bottleneck."""

    def __init__(self, day: date = DAY) -> None:
        self._models = [_model(document) for document in islice(_invented(day), _MODELS)]
        self._days = (day - DAY).days

    def body(self, symbol: bytes) -> bytes:
        """Return the document of one of `symbols`, as JSON."""
        number = int(symbol[1:])
        own = _FIRST + number
        return self._models[number % _MODELS] % (symbol, own, own * 1_000 + self._days, own * 100)


def _invented(day: date) -> Iterator[dict[str, str]]:
    """Yield the documents of a day, of the same companies on each: those that had all values on the first one."""
    companies = Companies()
    for symbol in companies.symbols:
        first = companies.document(symbol, DAY)
        if first is not None and "None" not in first.values():
            yield companies.document(symbol, day) or first


def described(document: dict[str, str]) -> dict[str, str]:
    """Return the document with a description as long as real ones."""
    text = f"{document['Description']} "
    longer = (text * (_DESCRIPTION // len(text) + 1))[:_DESCRIPTION]
    return document | {"Description": longer}


def _model(document: dict[str, str]) -> bytes:
    """Return the document as a bytes template with a place for each field that every symbol has of its own."""
    longer = described(document)
    fields = longer | {"Description": longer["Description"].replace("%", "")} | dict.fromkeys(_OF_ITS_OWN, "%")
    places = iter((b"%b", b"%d", b"%d", b"%d"))
    before, *after = json.dumps(fields, ensure_ascii=False, indent=4).encode().split(b"%")
    return before + b"".join(next(places) + part for part in after)

"""Universe: which symbols the sandbox lists, as stocks or funds, and which it covers."""

from functools import lru_cache

from pipeline.model.symbols import Symbol
from pipeline.sandbox.noise import seeded_random
from pipeline.sandbox.profiles import NON_ASCII

_STOCKS = 632
_FUNDS = 8
_NOT_COVERED = 5
_FAMOUS = frozenset({"AAPL", "GOOG", "TSLA", "MSFT", "PEP", "IBM", "NVDA", "AMZN", "META", "KO"})
_OTHERS_NOT_COVERED = 0.04
_ALWAYS = (Symbol("QUVEX"), Symbol("QUVEX-B"), NON_ASCII, Symbol("ZORVA-U"), Symbol("TIMEK-U"))
_SHAPES = (
    ("BDFGKLMNPRTVZ", "AEIOU", "BDGKLMNPRTVZ", "AEIOU", "KLMNT"),
    ("AEIOU", "BDGKLMNPRTVZ", "AEIOU", "LNR", "KT"),
)
"""Symbols that can be pronounced. Their fifth letters are none that the exchanges use for other than common stock."""
_CACHED = 16_384


class Universe:
    """The symbols of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        random = seeded_random(seed, "symbols")
        symbols = dict.fromkeys(_ALWAYS)
        while len(symbols) < _STOCKS + _FUNDS:
            shape = random.choice(_SHAPES)
            symbols[Symbol("".join(random.choice(letters) for letters in shape))] = None
        self.symbols: tuple[Symbol, ...] = tuple(symbols)
        """The listed symbols, the funds last."""
        self.listed = frozenset(self.symbols)
        self.funds = frozenset(self.symbols[_STOCKS:])
        self._not_covered = self.funds | frozenset(self.symbols[_STOCKS - _NOT_COVERED : _STOCKS])
        self.covers = lru_cache(_CACHED)(self._covers)

    def _covers(self, symbol: Symbol) -> bool:
        """Return whether the sandbox has an overview of the symbol: it has one of nearly any."""
        if symbol in self.listed or symbol in _FAMOUS:
            return symbol not in self._not_covered
        return "." not in symbol and seeded_random(self._seed, symbol, "covered").random() >= _OTHERS_NOT_COVERED

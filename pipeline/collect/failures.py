"""Failures in a row, and companies that the API denies in a row: counts them, to end a run that gets nothing else."""

from collections import Counter

from pipeline.model.symbols import Symbol
from pipeline.text import count, few

FAILURES_IN_A_ROW = 10
"""This many with no overview between them end the run: the cause is not the symbols."""
_DETAILS, _OTHER = 50, "other errors"
"""How many different details are counted: a server may word each error differently."""


class TooManyFailures(Exception):
    """The reason to halt a run that gets only failures and rejections."""


UNCOVERED_IN_A_ROW = 10
"""This many symbols with snapshots that were answered `{}`, with no overview between them, end the run."""


class TooManyUncovered(Exception):
    """The reason to halt a run: the API denies one company after another that it covered before."""


class Failures:
    """The failures and rejections of a run."""

    def __init__(self) -> None:
        self._details: Counter[str] = Counter()
        self._in_a_row = 0

    def add(self, symbol: Symbol, detail: str) -> TooManyFailures | None:
        """Count a failure. Return the reason to halt the run with the tenth in a row, else None."""
        self._details[detail if detail in self._details or len(self._details) < _DETAILS else _OTHER] += 1
        self._in_a_row += 1
        if self._in_a_row != FAILURES_IN_A_ROW:
            return None
        return TooManyFailures(f"{FAILURES_IN_A_ROW} failures in a row; the last: {symbol}: {detail}")

    def end_row(self) -> None:
        """Note that a symbol got an answer: the next failure is the first in a row."""
        self._in_a_row = 0

    def most_common(self) -> str | None:
        """Return the most frequent detail, with its share if there were others; None without failures."""
        if not self._details:
            return None
        ((detail, count),) = self._details.most_common(1)
        return detail if count == self._details.total() else f"{detail} ({count:,} of {self._details.total():,})"


class Uncovered:
    """The symbols of a run that have snapshots, and for which the API answered `{}` all the same."""

    def __init__(self) -> None:
        self.symbols: list[Symbol] = []
        self._in_a_row = 0

    def add(self, symbol: Symbol) -> TooManyUncovered | None:
        """Add a symbol. Return the reason to halt the run with the tenth in a row, else None."""
        self.symbols.append(symbol)
        self._in_a_row += 1
        if self._in_a_row != UNCOVERED_IN_A_ROW:
            return None
        return TooManyUncovered(
            f"the API answered {{}} for {UNCOVERED_IN_A_ROW} symbols in a row that have snapshots; the last: {symbol}"
        )

    def end_row(self) -> None:
        """Note that an overview came: the next symbol is the first in a row."""
        self._in_a_row = 0

    def summary(self) -> str | None:
        """Return in one line which symbols these are, None if there are none."""
        if not self.symbols:
            return None
        number = count(len(self.symbols), "symbol that has snapshots", "symbols that have snapshots")
        return f"the API answered {{}} for {number}: {few(self.symbols)}"

"""Companies: which company a symbol means. A renamed company has several symbols, each for a span of time."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pipeline import instants
from pipeline.model.renames import EARLIEST, QUALIFIED, Span, whole


def _parse(text: str) -> datetime:
    return instants.parse(text, now=instants.utc_now(), day_ends=True)


class Companies:
    """The companies of a database, by their names: a company's name is its newest symbol."""

    def __init__(self, spans: Iterable[Span], parse: Callable[[str], datetime] = _parse) -> None:
        """Take the spans of all symbols of renames. Every other symbol is a company of its own.

        `parse` returns the instant of a name such as FB@2025-07-01, and raises ValueError for an invalid one.
        """
        self._parse = parse
        self._by_symbol: dict[str, list[Span]] = {}
        self._by_company: dict[str, list[Span]] = {}
        for one in spans:
            self._by_symbol.setdefault(one.symbol, []).append(one)
            self._by_company.setdefault(one.company, []).append(one)
        for company, of_company in self._by_company.items():
            of_company.sort(key=lambda one: (one.since, one.symbol == company, one.symbol))

    @property
    def have_renames(self) -> bool:
        """Whether any symbol was renamed."""
        return bool(self._by_symbol)

    @property
    def renamed(self) -> Iterable[str]:
        """The names of the companies that had a symbol which took part in a rename."""
        return self._by_company.keys()

    def has_symbol(self, symbol: str) -> bool:
        """Whether a symbol took part in a rename."""
        return symbol in self._by_symbol

    def has_company(self, company: str) -> bool:
        """Whether the company of this name had a symbol that took part in a rename; else its name is its only one."""
        return company in self._by_company

    def spans(self, company: str) -> Sequence[Span]:
        """Return the spans of a company by its name, the oldest first.

        They may overlap. Of two observations at one instant, that of the later span counts.
        """
        return self._by_company.get(company) or (whole(company),)

    def spans_of(self, symbol: str) -> Sequence[Span]:
        """Return the spans of a symbol, the oldest first; none for one that took part in no rename."""
        return self._by_symbol.get(symbol, ())

    def named(self, text: str) -> str:
        """Return the name of the company that a text means: a symbol in any case, old or new, or a company's name.

        A symbol that several companies had means the one that is called by it now, else the one that was renamed. The
        others need an instant: `FB@2025-07-01` means the one that had FB at the end of that day. Raise ValueError for
        an invalid instant.
        """
        symbol, qualified, at = text.upper().partition(QUALIFIED)
        if text.upper() in self._by_company:
            return text.upper()
        if qualified:
            return self.company_at(symbol, instants.to_text(self._parse(at)))
        # One at most: where a symbol has two companies of renames, the later one is called by it.
        renamed = (one.company for one in self._by_symbol.get(symbol, ()) if QUALIFIED not in one.company)
        return next(renamed, symbol)

    def meanings(self, text: str) -> Sequence[Span]:
        """Return which company a text means in rows that have an instant of their own, the oldest span first.

        A symbol means the company that had it at that instant. Where all that is known of that one is that it was not
        a renamed one, the symbol means the same as in a question. Raise ValueError as `named` does.
        """
        name, symbol = self.named(text), text.upper()
        spans = self._by_symbol.get(symbol) or [Span(symbol, name, EARLIEST, instants.LATEST)]
        return [one._replace(company=name) if QUALIFIED in one.company else one for one in spans]

    def company_at(self, symbol: str, at: str) -> str:
        """Return the name of the company that had a symbol at an instant, as text."""
        found = (one.company for one in self._by_symbol.get(symbol, ()) if one.since <= at < one.until)
        return next(found, symbol)

    def symbol_at(self, company: str, at: str) -> str:
        """Return the symbol that a company has at an instant, as text; the newest, if several."""
        spans = self.spans(company)
        return next((span.symbol for span in reversed(spans) if span.since <= at < span.until), spans[0].symbol)

"""Companies: which symbols a question means. A company that was renamed has several, each for a span of time."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import instants
from pipeline.model.renames import QUALIFIED, Span, whole
from pipeline.store.stored_symbols import SymbolNotFound, check_any_stored, check_symbols, not_found, stored_symbols


class Companies:
    """The companies of a database, by their names: a company's name is its newest symbol."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """Take the spans of all symbols that took part in a rename. Every other symbol is a company of its own."""
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
        """The names of the companies that have part of a symbol's time, or several symbols."""
        return self._by_company.keys()

    def is_renamed(self, symbol: str) -> bool:
        """Whether a symbol took part in a rename: only then its spans are other than its whole time."""
        return symbol in self._by_symbol

    def spans(self, company: str) -> Sequence[Span]:
        """Return the spans of a company by its name, the oldest first.

        They may overlap. Of two observations at one instant, that of the later span counts.
        """
        return self._by_company.get(company) or (whole(company),)

    def named(self, text: str) -> str:
        """Return the name of the company that a text means: a symbol in any case, old or new, or a company's name.

        A symbol that several companies had means the one that has it now, else the one that was renamed. Any other is
        reached with an instant: `FB@2025-07-01` means the one that had FB at the end of that day. Raise ValueError for
        an instant that is none.
        """
        symbol, qualified, at = text.upper().partition(QUALIFIED)
        if text.upper() in self._by_company:
            return text.upper()
        if qualified:
            return self.company_at(symbol, instants.to_text(instants.parse(at, now=instants.utc_now(), day_ends=True)))
        renamed = [one.company for one in self._by_symbol.get(symbol, ()) if QUALIFIED not in one.company]
        return renamed[-1] if renamed else symbol

    def company_at(self, symbol: str, at: str) -> str:
        """Return the name of the company that had a symbol at an instant, as text."""
        found = (one.company for one in self._by_symbol.get(symbol, ()) if one.since <= at < one.until)
        return next(found, symbol)


def read_companies(db: sqlite3.Connection) -> Companies:
    """Return the companies of a database."""
    rows = db.execute("SELECT symbol, company, since, until FROM spans ORDER BY symbol, since")
    return Companies(map(Span._make, rows.fetchall()))


def stored_companies(db: sqlite3.Connection, companies: Companies) -> list[str]:
    """Return the names of the companies that have a snapshot, in order."""
    plain = [symbol for symbol in stored_symbols(db) if not companies.is_renamed(symbol)]
    renamed = [company for company in companies.renamed if _has_snapshot(db, companies.spans(company))]
    return sorted(plain + renamed)


def check_companies(db: sqlite3.Connection, path: Path, companies: Companies, symbols: Iterable[str] = ()) -> list[str]:
    """Return the names of the companies that symbols mean, in order and without duplicates.

    Raise NoData if the database holds no snapshot at all, and SymbolNotFound, with similar names that have one, for a
    company that has none.
    """
    if not companies.have_renames:
        return check_symbols(db, path, symbols)
    check_any_stored(db, path)
    wanted = {_named(companies, symbol): symbol for symbol in symbols}
    if wanted:
        known = frozenset(stored_companies(db, companies))
        for company, symbol in wanted.items():
            if company not in known:
                raise not_found(symbol.upper(), sorted(known))
    return sorted(wanted)


def _named(companies: Companies, symbol: str) -> str:
    try:
        return companies.named(symbol)
    except ValueError as error:
        raise SymbolNotFound(f"{symbol[:40]}: {error}") from None


def _has_snapshot(db: sqlite3.Connection, spans: Iterable[Span]) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE symbol = ? AND observed_at >= ? AND observed_at < ?)"
    return any(db.execute(query, (one.symbol, one.since, one.until)).fetchone()[0] for one in spans)

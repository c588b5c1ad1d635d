"""Companies: which symbols a question means. A company that was renamed has several, each for a span of time."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipeline import instants
from pipeline.model.renames import QUALIFIED, Span, whole
from pipeline.store.stored_symbols import (
    SymbolNotFound,
    check_any_stored,
    check_symbols,
    not_found,
    stored_symbols,
    symbol_batches,
)


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


class Wanted(NamedTuple):
    """The companies that a question is about."""

    companies: Companies
    names: Sequence[str] | None
    """The names of those that are asked for; None: all."""


def read_companies(db: sqlite3.Connection) -> Companies:
    """Return the companies of a database."""
    rows = db.execute("SELECT symbol, company, since, until FROM spans ORDER BY symbol, since")
    return Companies(map(Span._make, rows.fetchall()))


def stored_companies(db: sqlite3.Connection, companies: Companies) -> list[str]:
    """Return the names of the companies that have a snapshot, in order."""
    plain = [symbol for symbol in stored_symbols(db) if not companies.has_symbol(symbol)]
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


def first_observed_at(db: sqlite3.Connection, spans: Iterable[Span]) -> str | None:
    """Return when the first snapshot in some spans was observed, as text; None where there is none."""
    query = """
        SELECT min((SELECT observed_at FROM snapshots
                     WHERE symbol = json_extract(span.value, '$[0]')
                       AND observed_at BETWEEN json_extract(span.value, '$[1]') AND json_extract(span.value, '$[2]')
                     ORDER BY observed_at LIMIT 1))
          FROM json_each(?) AS span
    """
    bounds = json.dumps([(span.symbol, span.since, span.last) for span in spans])
    (first,) = db.execute(query, (bounds,)).fetchone()
    return None if first is None else str(first)


def company_batches(db: sqlite3.Connection, wanted: Wanted, since: str, until: str) -> Iterator[list[str]]:
    """Yield the names of companies in order, in batches whose snapshots observed in an interval can be read at once.

    A company that had a symbol which took part in a rename is a batch by itself; of all others the name is the symbol.
    """
    companies, names = wanted
    if not companies.have_renames:
        yield from symbol_batches(db, names, since, until)
        return
    if names is None:
        symbols = (symbol for (symbol,) in db.execute("SELECT symbol FROM symbols"))
        names = [*(one for one in symbols if not companies.has_symbol(one)), *companies.renamed]
    for is_renamed, some in groupby(sorted(names), companies.has_company):
        if is_renamed:
            yield from ([name] for name in some)
        else:
            yield from symbol_batches(db, list(some), since, until)


def _named(companies: Companies, symbol: str) -> str:
    try:
        return companies.named(symbol)
    except ValueError as error:
        raise SymbolNotFound(f"no company {symbol[:40]!r}: {error}") from None


def _has_snapshot(db: sqlite3.Connection, spans: Iterable[Span]) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE symbol = ? AND observed_at >= ? AND observed_at < ?)"
    return any(db.execute(query, (one.symbol, one.since, one.until)).fetchone()[0] for one in spans)

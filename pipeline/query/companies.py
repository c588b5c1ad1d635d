"""Companies: those that a database has, and those that a question is about."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.renames import Rename, Span, spans
from pipeline.model.symbols import Symbol, spellings
from pipeline.query.bounds import instant
from pipeline.query.horizon import horizon_of
from pipeline.store.stored_symbols import (
    SymbolNotFound,
    check_any_stored,
    check_symbols,
    not_found,
    stored_symbols,
    symbol_batches,
)
from pipeline.text import quoted


class Wanted(NamedTuple):
    """The companies that a question is about."""

    companies: Companies
    names: Sequence[str] | None
    """The names of those that are asked for; None: all."""


def read_companies(db: sqlite3.Connection) -> Companies:
    """Return the companies of a database. Raise Undecodable for an instant that was damaged."""
    renames = tuple(db.execute("SELECT symbol, renamed_to, at, reused FROM renames ORDER BY symbol"))
    horizon = horizon_of(db)
    return Companies(_spans(renames), lambda text: instant(text, day_ends=True, horizon=horizon))


@lru_cache(maxsize=16)
def _spans(renames: tuple[tuple[str, str, str | None, int], ...]) -> tuple[Span, ...]:
    """Return the spans that follow of the renames: those of the table `spans`, where all renames are seen."""
    return spans(
        Rename(Symbol(old), Symbol(new), None if at is None else instants.from_text(at), bool(reused))
        for old, new, at, reused in renames
    )


def unwritten_renames(db: sqlite3.Connection, configured: Iterable[Rename]) -> list[str]:
    """Return the old symbols of the renames that a database does not have as they are configured."""
    rows = db.execute("SELECT symbol, renamed_to, at, reused FROM renames").fetchall()
    known = {(old, new, at, bool(reused)) for old, new, at, reused in rows}
    return [
        one.old
        for one in configured
        if (one.old, one.new, None if one.on is None else instants.to_text(one.on), one.reused) not in known
    ]


def stored_companies(db: sqlite3.Connection, companies: Companies) -> list[str]:
    """Return the names of the companies that have a snapshot, in order."""
    plain = [symbol for symbol in stored_symbols(db) if not companies.has_symbol(symbol)]
    renamed = [company for company in companies.renamed if _has_snapshot(db, companies.spans(company))]
    return sorted(plain + renamed)


def check_companies(db: sqlite3.Connection, path: Path, companies: Companies, symbols: Iterable[str] = ()) -> list[str]:
    """Return the names of the companies that symbols mean, in order and without duplicates.

    A class share is found as BRK.B and as BRK-B; where both are kept, each means itself. Raise NoData if the database
    holds no snapshot at all, and SymbolNotFound, with similar names that have one, for a company that has none.
    """
    if not companies.have_renames:
        return check_symbols(db, path, [_as_kept(symbol, lambda one: _is_kept(db, one)) for symbol in symbols])
    check_any_stored(db, path)
    wanted = list(symbols)
    known = frozenset(stored_companies(db, companies) if wanted else ())
    found = set()
    for symbol in wanted:
        company = _named(companies, _as_kept(symbol, lambda one: _named(companies, one) in known))
        if company not in known:
            raise not_found(db, symbol.upper(), sorted(known))
        found.add(company)
    return sorted(found)


def _as_kept(symbol: str, is_kept: Callable[[str], bool]) -> str:
    """Return the spelling of a symbol under which it is kept; where it is under none, the symbol."""
    spelled = spellings(Symbol(symbol.upper()))
    return symbol if len(spelled) == 1 else next(filter(is_kept, spelled), symbol)


def _is_kept(db: sqlite3.Connection, symbol: str) -> bool:
    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM snapshots WHERE symbol = ?)", (symbol,)).fetchone()[0])


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


def first_observed_at_all(db: sqlite3.Connection) -> str | None:
    """Return when the first of all snapshots was observed, as text; None where there is none."""
    query = """
        SELECT min((SELECT observed_at FROM snapshots WHERE snapshots.symbol = symbols.symbol
                     ORDER BY observed_at LIMIT 1))
          FROM symbols
    """
    (first,) = db.execute(query).fetchone()
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
        raise SymbolNotFound(f"no company {quoted(symbol)}: {error}") from None


def _has_snapshot(db: sqlite3.Connection, spans: Iterable[Span]) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE symbol = ? AND observed_at >= ? AND observed_at < ?)"
    return any(db.execute(query, (one.symbol, one.since, one.until)).fetchone()[0] for one in spans)

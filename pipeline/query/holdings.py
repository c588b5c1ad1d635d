"""Holdings: the symbols, companies and lists that a database holds."""

from collections.abc import Iterable
from datetime import datetime
from itertools import chain

from pipeline.instants import from_text, to_text
from pipeline.model.companies import Companies
from pipeline.model.invented import is_invented
from pipeline.model.universe import Universe
from pipeline.query.bounds import InstantLike
from pipeline.query.companies import (
    Wanted,
    check_companies,
    first_observed_at,
    first_observed_at_all,
    read_companies,
    stored_companies,
)
from pipeline.query.known import unmapped
from pipeline.query.last_seen import LastSeen, last_seen
from pipeline.query.names import Name
from pipeline.query.open_database import OpenDatabase
from pipeline.query.universe import configured_at, configured_symbols, read_universe
from pipeline.store.database import translate_errors
from pipeline.store.drift import Drift, read_drift
from pipeline.store.reader import Listed
from pipeline.store.stored_symbols import check_listed


class Holdings(OpenDatabase):
    """A database opened for questions about what it holds."""

    def symbols(self) -> list[str]:
        """Return the symbols that have a snapshot, in order; of a company that was renamed, the newest one."""
        with translate_errors(self._path):
            self._check_listed()
            return stored_companies(self._db, read_companies(self._db))

    def check_symbols(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols in upper case and in order, without duplicates; for an old symbol, the newest one.

        Raise SymbolNotFound, naming the nearest, for one without a snapshot, and NoData if there is no snapshot at all.
        """
        with translate_errors(self._path):
            return check_companies(self._db, self._path, read_companies(self._db), listed(symbols))

    def first_observed_at(self, symbols: Iterable[str] | None = None) -> datetime | None:
        """Return when the first snapshot was observed, of all or of some symbols; None where there is none."""
        with translate_errors(self._path), unmapped(self._db):  # it seeks everywhere in the file
            if symbols is None:
                first = first_observed_at_all(self._db)
            else:
                companies = read_companies(self._db)
                names = map(companies.named, listed(symbols))
                first = first_observed_at(self._db, chain.from_iterable(map(companies.spans, names)))
            return None if first is None else from_text(first)

    def universe(self, at: InstantLike) -> list[str]:
        """Return the symbols that were configured at an instant, in order, whether they have a snapshot or not.

        Of a company that was renamed, the newest one. Before the first list that was noted, there are none.
        """
        with translate_errors(self._path):
            universe = read_universe(self._db, read_companies(self._db))
            return configured_at(universe, to_text(self._instant(at)), None)

    def universe_began_at(self) -> datetime | None:
        """Return when the first list was noted; None if none was."""
        with translate_errors(self._path):
            began_at = read_universe(self._db, read_companies(self._db)).began_at
            return None if began_at is None else from_text(began_at)

    def holds_invented(self) -> bool | None:
        """Return whether the companies are those of the sandbox; None if there are none. The first one tells."""
        query = """
            SELECT description
              FROM (SELECT symbol FROM symbols WHERE snapshots > 0 ORDER BY symbol LIMIT 1) AS first
             CROSS JOIN snapshots ON snapshots.symbol = first.symbol
              JOIN profiles ON profiles.id = profile_id
             ORDER BY observed_at LIMIT 1
        """
        with translate_errors(self._path):
            row = self._db.execute(query).fetchone()
            return None if row is None else is_invented(row[0])

    def configured(self) -> dict[str, list[Listed]]:
        """Return the symbols that are configured, in order, each with when its company was: the symbol to request."""
        with translate_errors(self._path):
            companies = read_companies(self._db)
            return configured_symbols(read_universe(self._db, companies), companies, to_text(self.now))

    def names(self, company: str) -> list[Name]:
        """Return the symbols that a company has had, the oldest first: the last one is its newest.

        It may be named by any of them. Raise SymbolNotFound as `check_symbols` does.
        """
        (name,) = self.check_symbols([company])
        with translate_errors(self._path):
            return [Name.of(span) for span in read_companies(self._db).spans(name)]

    def former_symbols(self) -> dict[str, list[str]]:
        """Return the symbols that companies had before, the newest first, by the name of the company."""
        with translate_errors(self._path):
            companies = read_companies(self._db)
        found = {
            company: dict.fromkeys(span.symbol for span in reversed(companies.spans(company)))
            for company in companies.renamed
        }
        return {company: list(symbols)[1:] for company, symbols in found.items() if len(symbols) > 1}

    def last_seen(self) -> list[LastSeen]:
        """Return for each symbol that was ever observed when it last was, in order: what `standing` judges."""
        with translate_errors(self._path):
            self._check_listed()
            return last_seen(self._db)

    def uncovered_since(self, symbol: str) -> datetime | None:
        """Return when the API first answered that it does not cover a symbol; None if it never did."""
        with translate_errors(self._path):
            (first,) = self._db.execute("SELECT min(at) FROM uncovered WHERE symbol = ?", (symbol,)).fetchone()
            return None if first is None else from_text(first)

    def drift(self) -> Drift:
        """Return where the newest documents and the field catalogue disagree."""
        with translate_errors(self._path):
            return read_drift(self._db)

    def _wanted(self, symbols: Iterable[str] | None, *, universe_at: datetime | None = None) -> Wanted:
        """Return the companies that symbols mean; None: all. Raise NoData or SymbolNotFound.

        With `universe_at`, only those of them that were configured at an instant.
        """
        with translate_errors(self._path):
            companies, names = read_companies(self._db), None
            if symbols is not None:
                names = check_companies(self._db, self._path, companies, listed(symbols))
            else:
                self._check_listed()
            if universe_at is not None:
                names = configured_at(self._universe(companies), to_text(universe_at), names)
            return Wanted(companies, names)

    def _check_listed(self) -> None:
        """Raise Inconsistent if questions about all symbols would leave one out: once, as it takes a while."""
        if not self._is_listed:
            check_listed(self._db)
            self._is_listed = True

    def _universe(self, companies: Companies) -> Universe:
        with translate_errors(self._path):
            return read_universe(self._db, companies)


def listed(symbols: Iterable[str]) -> list[str]:
    """Return the symbols as a list; a single text is one symbol."""
    return [symbols] if isinstance(symbols, str) else list(symbols)

"""History: the class of the public Python API. Each question is a method here, and a module beside it.

from pipeline import History

with History.open("data/overviews.db") as history:
    for snapshot in history.as_of("2026-03-14", fields=["pe_ratio"]):
        print(snapshot.symbol, snapshot["pe_ratio"], snapshot.staleness)
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property

from pipeline import extras
from pipeline.model.changes import Change
from pipeline.model.companies import Companies
from pipeline.model.document import Document
from pipeline.model.fields import (
    ALL,
    FISCAL_FIELDS,
    SYMBOL_FIELD,
    Field,
    FieldNotFound,
    Part,
    find_field,
    find_fields,
)
from pipeline.query.bounds import InstantLike, SpanLike, bound, day_or_instant, since_text, span, until_text
from pipeline.query.changes import ChangeFilter, Comparison
from pipeline.query.companies import read_companies
from pipeline.query.documents import Received, received_as_of
from pipeline.query.join import Joining
from pipeline.query.joined import Joined
from pipeline.query.known import Known, longest, unmapped
from pipeline.query.panel import Panel, PanelRow, grid_of, in_order, panel
from pipeline.query.results import Answer, Snapshot, Vintage, read_through
from pipeline.query.run_log import RunLog
from pipeline.query.snapshots import DEFAULT_FIELDS, as_of, history
from pipeline.query.universe import within
from pipeline.query.vintages import QUARTERLY_FIELDS, check_fiscal, restatements, vintages
from pipeline.schedule.zones import find_zone
from pipeline.store.database import translate_errors
from pipeline.text import quoted


class History(RunLog):
    """A database opened for questions; a context manager that closes it.

    Symbols are matched in any case. A field is a column (`pe_ratio`) or the API's name (`PERatio`); "all" is every one.
    A day means its end for `as_of` and `until`, and its start for `since`; both bounds are inclusive. Instants and
    spans may be text as on the command line: "2026-03-14", "7d"; a span is "48h" or "1d".
    """

    @cached_property
    def _comparison(self) -> Comparison:
        """It remembers the parts that it has read."""
        return Comparison(self._db)

    def _between(self, since: InstantLike | None, until: InstantLike | None) -> dict[str, str]:
        """Return the bounds of an interval by name, as stored texts are compared."""
        horizon = self.horizon
        return {"since": since_text(since, horizon=horizon), "until": until_text(until, horizon=horizon)}

    def history(
        self,
        symbol: str,
        fields: Iterable[str | Field] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
        limit: int | None = None,
    ) -> Answer[Snapshot]:
        """Return the snapshots of a symbol observed from `since` to `until`, the oldest first.

        With a `limit`, the first ones up to that number. Raise SymbolNotFound or FieldNotFound.
        """
        companies, names = self._wanted([symbol])
        (company,) = names or ()
        columns = find_fields(fields, DEFAULT_FIELDS)
        answer = history(self._db, companies, company, columns, **self._between(since, until), limit=limit)
        return read_through(answer, self._read)

    def as_of(
        self,
        at: InstantLike,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        max_staleness: SpanLike | None = None,
        universe: bool = False,
    ) -> Answer[Snapshot]:
        """Return for each symbol the newest snapshot not after the instant, and how stale it was then.

        Nothing observed later takes part, not even in the staleness: it counts from the last observation not after the
        instant. `max_staleness` leaves out snapshots that were staler, and `universe` what was not configured at the
        instant. Raise SymbolNotFound or FieldNotFound.
        """
        columns, asked_at = find_fields(fields, DEFAULT_FIELDS), self._instant(at)
        wanted = self._wanted(symbols, universe_at=asked_at if universe else None)
        answer = as_of(self._db, wanted, asked_at, columns, bound(max_staleness))
        return read_through(answer, self._read)

    def documents_as_of(
        self,
        at: InstantLike,
        symbols: Iterable[str] | None = None,
        *,
        max_staleness: SpanLike | None = None,
        universe: bool = False,
    ) -> Iterator[Document]:
        """Return the documents of the snapshots that `as_of` returns, exactly as they were received.

        Raise SymbolNotFound.
        """
        asked_at = self._instant(at)
        wanted = self._wanted(symbols, universe_at=asked_at if universe else None)
        stalest = bound(max_staleness)
        found = self._read(lambda: received_as_of(self._db, wanted, asked_at, stalest))
        return (one.document for one in found)

    def received(self, symbol: str, at: InstantLike) -> Received | None:
        """Return the document of the snapshot that `as_of` returns for a symbol, and its instants; None without one.

        Raise SymbolNotFound.
        """
        asked_at, wanted = self._instant(at), self._wanted([symbol])
        found = list(self._read(lambda: received_as_of(self._db, wanted, asked_at, None)))
        return found[0] if found else None

    def panel(
        self,
        fields: Iterable[str | Field] | None = None,
        *,
        every: str = "1d",
        calendar: str | None = None,
        at: InstantLike | Iterable[InstantLike] | None = None,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
        symbols: Iterable[str] | None = None,
        max_staleness: SpanLike | None = None,
        lag: SpanLike = timedelta(0),
        universe: bool = False,
    ) -> Answer[PanelRow]:
        """Return what `as_of` says of each symbol at each instant of a grid, with empty values where nothing was known.

        The grid goes from `since` to `until` in steps of `every`: "1d", "1w", "1mo" or "1q". From a day on, it has the
        ends of days, months or quarters in UTC; with a `calendar`, such as "XNYS", the closes of that exchange on the
        last trading day of each. Or it has the instants `at`. Without `since` the grid begins on the day of the first
        snapshot; without `until` it ends now. `lag` answers each instant by what was known that much earlier;
        `universe` leaves out symbols that were not configured then. Raise SymbolNotFound, FieldNotFound, Trouble for a
        calendar that does not exist, or ValueError for another `every`, a negative lag, or `at` together with a grid.
        """
        columns = find_fields(fields, DEFAULT_FIELDS)
        wanted = self.symbols() if symbols is None else self.check_symbols(symbols)
        if at is not None:
            if calendar is not None or since is not None or until is not None:
                raise ValueError("at names the instants: drop calendar, since and until")
            named = [at] if isinstance(at, str | date) else at
            instants: Iterable[datetime] = (self._instant(one) for one in named)
        else:
            ends_at = self.now if until is None else self._instant(until)
            begins_at = self._first_day(wanted) if since is None else day_or_instant(since, horizon=self.horizon)
            instants = grid_of(every, calendar, begins_at, ends_at)
        with translate_errors(self._path):
            configured = self._universe(read_companies(self._db)) if universe else None
            cells = Panel(wanted, in_order(instants), span(lag), longest(bound(max_staleness)), configured)
            answer = panel(Known(self._db, columns), cells)
        return read_through(answer, self._read_much)

    def _first_day(self, symbols: Iterable[str]) -> date:
        first = self.first_observed_at(symbols)
        return date.max if first is None else first.date()

    def join(
        self,
        table: object,
        fields: Iterable[str | Field] | None = None,
        *,
        symbol_column: str = "symbol",
        time_column: str = "time",
        timezone: str | tzinfo | None = None,
        max_staleness: SpanLike | None = None,
        lag: SpanLike = timedelta(0),
        prefix: str = "",
    ) -> Joined:
        """Return a table with what `as_of` says of each row's symbol at its instant; empty where nothing was known.

        `table` is a data frame, or anything else with the Arrow PyCapsule interface. All rows and columns stay as they
        are. The fields, `observed_at` and `staleness_hours` are added, with the `prefix` before their names. A date
        means its end in UTC. Times without an offset are those of the `timezone`, and without one refused. `lag`
        answers each row by what was known that much earlier. Raise FieldNotFound; JoinError if a column is missing or
        taken, or for a row whose instant cannot be read; Trouble if pyarrow is not installed.
        """
        arrow = extras.join_arrow()
        zone = find_zone(timezone) if isinstance(timezone, str) else timezone
        columns = find_fields(fields, DEFAULT_FIELDS)
        self.check_symbols([])
        with translate_errors(self._path), unmapped(self._db):
            known = Known(self._db, columns)
            most = longest(bound(max_staleness))
            joining = Joining(known, symbol_column, time_column, prefix, zone, span(lag), most, self.horizon)
            made: Joined = arrow.join_table(table, joining)
            return made

    def changes(
        self,
        symbols: Iterable[str] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
        part: Part | str | None = None,
        fields: Iterable[str | Field] | None = None,
        min_change: float = 0.0,
        suspicious: bool = False,
        universe: bool = False,
    ) -> Answer[Change]:
        """Return what changed in the snapshots observed from `since` to `until`, by symbol, the oldest first.

        `part` (profile, reported or daily) and `fields` select fields; `min_change` leaves out numbers that changed by
        a smaller fraction (0.05 is 5 %); `suspicious` selects changes that the market cannot explain, and `universe`
        those of companies that were configured when they were observed. Raise SymbolNotFound, FieldNotFound, or
        ValueError for an unknown part.
        """
        wanted = self._wanted(symbols)
        only = ChangeFilter(
            columns=_changing(fields, wanted.companies),
            part=None if part is None else _part(part),
            min_change=min_change,
            suspicious=suspicious,
        )
        answer = self._comparison.changes(wanted, only, **self._between(since, until))
        if universe:
            answer = within(answer, self._universe(wanted.companies), "observed_at")
        return read_through(answer, self._read)

    def vintages(
        self,
        symbol: str,
        fields: Iterable[str | Field] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
    ) -> Answer[Vintage]:
        """Return each reported value of a company by field and fiscal quarter, with when it was known.

        `since` and `until` select those first known then. Raise SymbolNotFound, and FieldNotFound for a field that is
        not reported by quarter.
        """
        wanted = self._wanted([symbol])
        columns = check_fiscal(find_fields(fields, FISCAL_FIELDS, every=QUARTERLY_FIELDS))
        answer = vintages(self._db, wanted, columns, **self._between(since, until))
        return read_through(answer, self._read)

    def restatements(
        self,
        symbols: Iterable[str] | None = None,
        fields: Iterable[str | Field] | None = None,
        *,
        since: InstantLike | None = None,
        until: InstantLike | None = None,
        universe: bool = False,
    ) -> Answer[Vintage]:
        """Return the values that replaced another of the same quarter, of all or of some symbols.

        `since` and `until` select those first known then, however old the replaced value was, and `universe` those of
        companies that were configured then. Raise as `vintages` does.
        """
        wanted = self._wanted(symbols)
        columns = check_fiscal(find_fields(fields, FISCAL_FIELDS, every=QUARTERLY_FIELDS))
        answer = restatements(self._db, wanted, columns, **self._between(since, until))
        if universe:
            answer = within(answer, self._universe(wanted.companies), "known_from")
        return read_through(answer, self._read)


def _part(text: str) -> Part:
    """Return the part of this name. Raise ValueError, naming all of them, for another."""
    try:
        return Part(text)
    except ValueError:
        raise ValueError(f"unknown part {quoted(text)}: use {', '.join(Part)}") from None


def _changing(fields: Iterable[str | Field] | None, companies: Companies) -> frozenset[str] | None:
    """Return the columns to select changes of; None for all."""
    named = [fields] if isinstance(fields, str) else list(fields or ())
    if not named or ALL in named:
        return None
    columns = frozenset((name if isinstance(name, Field) else find_field(name)).column for name in named)
    if columns == {SYMBOL_FIELD.column} and not companies.have_renames:
        raise FieldNotFound("symbol never changes, as no company was renamed: name another field")
    return columns

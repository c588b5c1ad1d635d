"""Join: what was known at the instant of each row of somebody's table, added to the row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import count, groupby
from operator import itemgetter

from pipeline.errors import Trouble
from pipeline.instants import NoTimeZone, parse_recorded, to_text
from pipeline.model.renames import Span
from pipeline.query.known import Known, earlier, milliseconds
from pipeline.query.results import Row
from pipeline.text import few, quoted, shown


class JoinError(Trouble):
    """A table cannot be joined: a column is missing or taken, or a row's instant cannot be read."""


@dataclass(frozen=True, slots=True)
class Joining:
    """How the rows of a table are joined to what was known."""

    known: Known
    symbol_column: str = "symbol"
    time_column: str = "time"
    prefix: str = ""
    """Of the names of the added columns."""
    zone: tzinfo | None = None
    """The zone of times without an offset; None: they are refused."""
    lag: timedelta = timedelta(0)
    """How much earlier than its instant a row is answered."""
    longest: int | None = None
    """Milliseconds after which what was last seen is too stale to count; None: it never is."""
    horizon: datetime | None = None
    """No row is answered for a later instant; None: any may be."""

    def __post_init__(self) -> None:
        if self.lag < timedelta(0):
            raise ValueError(f"lag is negative ({self.lag}): it would look ahead")

    @property
    def lag_milliseconds(self) -> int:
        """The lag, rounded up."""
        return milliseconds(self.lag)

    @property
    def added_names(self) -> list[str]:
        """The names of the columns that the join adds."""
        return [f"{self.prefix}{column.name}" for column in self.known.columns]

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise JoinError unless a table of these columns has those of symbol and time, once, and none of the added."""
        for wanted, option in ((self.symbol_column, "symbol"), (self.time_column, "time")):
            if names.count(wanted) != 1:
                problem = f"{'more than one' if wanted in names else 'no'} column {quoted(wanted)}"
                listed = few([shown(str(name)) for name in names]) or "none"
                remedy = f"name it ({_spelt(f'{option}_column')})"
                if len(names) == 1 and any(mark in str(names[0]) for mark in ";\t|"):
                    remedy = "write it with commas between the columns"
                raise JoinError(f"{problem} among {listed}", remedy=remedy)
        if taken := [name for name in self.added_names if name in names]:
            raise JoinError(f"the table has {', '.join(taken)} already", remedy=f"add a prefix ({_spelt('prefix')})")

    def read_instant(self, text: str, row: int) -> datetime:
        """Return the instant of a row. Raise JoinError if its text says none."""
        try:
            return parse_recorded(text, self.zone)
        except ValueError as error:
            raise unreadable(row, error) from None

    def answered_at(self, at: datetime) -> datetime:
        """Return the instant that a row of an instant is answered for."""
        return earlier(at, self.lag_milliseconds)


def unreadable(row: int, error: Exception) -> JoinError:
    """Return the error for a row whose instant cannot be read."""
    remedy = f"name the zone ({_spelt('timezone')})" if isinstance(error, NoTimeZone) else None
    return JoinError(f"row {row:,}: {error}", remedy=remedy)


def _spelt(parameter: str) -> str:
    """Return a parameter as it is written on the command line and in Python."""
    return f"--{parameter.replace('_', '-')}, in Python {parameter}="


def joined_rows(joining: Joining, rows: Sequence[tuple[str, datetime]]) -> list[Row]:
    """Return what the join adds to each row, of which there is the symbol and the instant."""
    known = joining.known
    meanings = {symbol: known.meanings(symbol) for symbol in {symbol for symbol, _ in rows}}
    asked = [joining.answered_at(at) for _, at in rows]
    companies = [_company_at(meanings[symbol], at) for symbol, at in rows]
    keys = sorted(zip(companies, map(to_text, asked), count(), strict=False))
    found: list[Row] = [known.nothing] * len(rows)
    for company, of_company in groupby(keys, key=itemgetter(0)):
        some = list(of_company)
        answers = known.rows(company, [at for _, at, _ in some])
        for (_, _, place), row in zip(some, answers, strict=True):
            found[place] = known.answered(row, asked[place], joining.longest)
    return found


def _company_at(meanings: Sequence[Span], at: datetime) -> str:
    """Return the company that a symbol means in a row of an instant, of those that it means at any time."""
    if len(meanings) == 1:
        return meanings[0].company
    text = to_text(at)
    return next(one.company for one in reversed(meanings) if one.since <= text)

"""Invented companies: the overview of any symbol on any day, and the listing of that day.

All of it is a function of the seed, the symbol and the day, so that no day needs the days before it. Slow values are
smooth noise over the years; prices are walks between points of that noise, one for each year of trading days; other
values hold still for as many days as the real field was measured to.
"""

import csv
import io
from array import array
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from pipeline.model.fields import CATALOGUE
from pipeline.model.symbols import Symbol
from pipeline.sandbox.daily_fields import daily_fields
from pipeline.sandbox.prices import Prices, draw_prices
from pipeline.sandbox.profiles import NO_FIGURES, Company, invent
from pipeline.sandbox.statements import Statement, edition_shown, latest_quarter, make_statement
from pipeline.sandbox.trading_days import TRADING_YEAR, ordinal_of, trading_day
from pipeline.sandbox.universe import Universe

_MISSING = {field.name: field.missing for field in CATALOGUE}
_CACHED = 16_384
"""Companies kept ready, about 6 kB each: enough for every symbol of the American exchanges."""
_ZEROS = dict.fromkeys(
    (
        *("RevenuePerShareTTM", "ProfitMargin", "OperatingMarginTTM", "ReturnOnAssetsTTM", "ReturnOnEquityTTM"),
        *("RevenueTTM", "GrossProfitTTM", "DilutedEPSTTM", "QuarterlyEarningsGrowthYOY", "QuarterlyRevenueGrowthYOY"),
        *("52WeekHigh", "52WeekLow", "50DayMovingAverage", "200DayMovingAverage", "SharesOutstanding"),
    ),
    "0",
)
"""The fields of a unit or a warrant that the API answers with a zero; its other figures are missing."""


class Companies:
    """The companies that one seed invents: those it lists, and one for nearly any other symbol.

    Other symbols have companies so that users can try their own lists. None is the real company.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._universe = Universe(seed)
        self.symbols = self._universe.symbols
        self._company = lru_cache(_CACHED)(self._invented)
        self._prices = lru_cache(2 * _CACHED)(self._drawn)
        self._statement = lru_cache(_CACHED)(self._reported)

    def document(self, symbol: Symbol, day: date) -> dict[str, str] | None:
        """Return the overview of the symbol on that day, None if it is not covered.

        The overview of a class share with a dot has a hyphen in its Symbol.
        """
        symbol = _hyphenated(symbol)
        if not self._universe.covers(symbol):
            return None
        company = self._company(symbol)
        if symbol.endswith(NO_FIGURES):
            return _complete(company.profile, _ZEROS, {"Name": symbol, "OfficialSite": None, "FiscalYearEnd": None})
        return _complete(company.profile, *self._changing(symbol, company, trading_day(day)))

    def listing(self, day: date) -> str:
        """Return the LISTING_STATUS of that day as CSV: all that was on an exchange by then, covered or not."""
        lines = io.StringIO()
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status"))
        for symbol in sorted(self.symbols):
            company = self._company(symbol)
            if company.ipo <= day:
                kind = self._kind(symbol, company)
                table.writerow((symbol, *kind, company.ipo.isoformat(), "null", "Active"))
        return lines.getvalue()

    def _kind(self, symbol: Symbol, company: Company) -> tuple[str, str, str]:
        """Return a symbol's name, exchange and asset type in the listing."""
        if symbol in self._universe.funds:
            return f"{symbol} INDEX FUND ETF", "NYSE ARCA", "ETF"
        return company.profile["Name"], company.profile["Exchange"], "Stock"

    def _changing(self, symbol: Symbol, company: Company, day: int) -> tuple[Mapping[str, str | None], ...]:
        """Return the fields that time changes: the last statement's, and the daily ones."""
        ordinal = ordinal_of(day)
        quarter = latest_quarter(company, ordinal)
        statement = self._statement(symbol, quarter, edition_shown(company, quarter, ordinal))
        return statement.fields, daily_fields(company, statement, self._last_year(symbol, day), day)

    def _last_year(self, symbol: Symbol, day: int) -> Prices:
        year, place = divmod(day, TRADING_YEAR)
        this, last = self._prices(symbol, year), self._prices(symbol, year - 1)
        return Prices((last[place + 1 :] + this[: place + 1]).tolist())

    # Cached in __init__

    def _invented(self, symbol: Symbol) -> Company:
        return invent(self._seed, symbol, listed=symbol in self._universe.listed)

    def _drawn(self, symbol: Symbol, year: int) -> "array[int]":
        return draw_prices(self._company(symbol), year)

    def _reported(self, symbol: Symbol, quarter: int, edition: int) -> Statement:
        return make_statement(self._company(symbol), quarter, edition)


def _hyphenated(symbol: Symbol) -> Symbol:
    """Return BRK-B for BRK.B, and any other symbol as it is."""
    family, dot, share = symbol.rpartition(".")
    return Symbol(f"{family}-{share}") if dot and len(share) == 1 and share.isalpha() else symbol


def _complete(*parts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the document: every field of the catalogue in the API's order, and its missing spelling for no value."""
    document = dict(_MISSING)
    for part in parts:
        document.update((name, value or _MISSING[name]) for name, value in part.items())
    return document

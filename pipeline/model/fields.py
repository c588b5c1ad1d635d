"""The field catalogue: every field of an overview with its column. A new API field goes here, and into a migration.

Schema, parser, views, docs, `fields` and `changes --part` follow CATALOGUE. Adding a field takes a row in it and a
migration, which `python -m pipeline.store.catalogue_migration` writes; until then the field is stored in `extra`, and
nothing is lost.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import ExitCode, Trouble
from pipeline.text import quoted


class Kind(StrEnum):
    """The type of a column. That of a field says how a received text is parsed."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    DATE = "date"

    # Of columns of an answer only, not of fields.
    INSTANT = "instant"
    """An ISO-8601 timestamp."""
    JSON = "json"
    """A value of varying type."""
    BOOLEAN = "boolean"


class Part(StrEnum):
    """How often a field changes, measured on 3,663 pairs of consecutive real snapshots."""

    PROFILE = "profile"
    REPORTED = "reported"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the document: its name in the API, its column here, and what it holds."""

    name: str
    column: str
    kind: Kind
    part: Part
    unit: str
    description: str
    """What it is, in 40 characters: a terminal's line beside column and type."""
    missing: str = "None"
    """How the API usually writes "no value" in this field."""

    @property
    def is_fiscal(self) -> bool:
        """Whether it comes from a quarter's statements, which a company can restate."""
        return self in FISCAL_FIELDS


def _profile(name: str, column: str, description: str, *, missing: str = "None") -> Field:
    return Field(name, column, Kind.TEXT, Part.PROFILE, "", description, missing)


def _reported(name: str, column: str, unit: str, description: str, *, kind: Kind = Kind.REAL) -> Field:
    return Field(name, column, kind, Part.REPORTED, unit, description)


def _rating(name: str, column: str, description: str) -> Field:
    return Field(name, column, Kind.INTEGER, Part.REPORTED, "analysts", description, missing="-")


def _daily(
    name: str, column: str, unit: str, description: str, *, missing: str = "None", kind: Kind = Kind.REAL
) -> Field:
    return Field(name, column, kind, Part.DAILY, unit, description, missing)


_REPORTED_MONEY, _REPORTED_PER_SHARE = "reporting currency", "reporting currency per share"
"""In the issuer's currency, although Currency says USD for every company: not comparable across companies."""

CATALOGUE: tuple[Field, ...] = (
    _profile("Symbol", "symbol", "Ticker, as the API writes it"),
    _profile("AssetType", "asset_type", "Kind of security, as Common Stock"),
    _profile("Name", "name", "Name of the company"),
    _profile("Description", "description", "What the company does, a few sentences"),
    _profile("CIK", "cik", "Number of the company at the SEC"),
    _profile("Exchange", "exchange", "Exchange that lists it, as NASDAQ"),
    _profile("Currency", "currency", "Currency: USD for every company"),
    _profile("Country", "country", "Country: USA for every company"),
    _profile("Sector", "sector", "Sector, as TECHNOLOGY"),
    _profile("Industry", "industry", "Industry within the sector"),
    _profile("Address", "address", "Postal address of the head office", missing="NONE"),
    _profile("OfficialSite", "official_site", "Address of the company's website"),
    _profile("FiscalYearEnd", "fiscal_year_end", "Month in which the fiscal year ends"),
    _reported("LatestQuarter", "latest_quarter", "date", "Last day of the newest fiscal quarter", kind=Kind.DATE),
    _daily("MarketCapitalization", "market_capitalization", "USD", "Market value of all shares", kind=Kind.INTEGER),
    _reported("EBITDA", "ebitda", _REPORTED_MONEY, "Earnings before interest, taxes and D&A", kind=Kind.INTEGER),
    _daily("PERatio", "pe_ratio", "ratio", "Price to earnings"),
    _daily("PEGRatio", "peg_ratio", "ratio", "Price to earnings, to their growth"),
    _reported("BookValue", "book_value", _REPORTED_PER_SHARE, "Equity per share"),
    _reported("DividendPerShare", "dividend_per_share", "USD per share", "Dividends of a year"),
    _daily("DividendYield", "dividend_yield", "fraction", "Dividends of a year to price"),
    _daily("EPS", "eps", "USD per share", "Earnings per share"),
    _reported("RevenuePerShareTTM", "revenue_per_share_ttm", _REPORTED_PER_SHARE, "Revenue per share, twelve months"),
    _reported("ProfitMargin", "profit_margin", "fraction", "Net profit to revenue"),
    _reported("OperatingMarginTTM", "operating_margin_ttm", "fraction", "Operating profit to revenue, 12 months"),
    _reported("ReturnOnAssetsTTM", "return_on_assets_ttm", "fraction", "Net profit to assets, twelve months"),
    _daily("ReturnOnEquityTTM", "return_on_equity_ttm", "fraction", "Net profit to equity, twelve months"),
    _reported("RevenueTTM", "revenue_ttm", _REPORTED_MONEY, "Revenue, twelve months", kind=Kind.INTEGER),
    _reported("GrossProfitTTM", "gross_profit_ttm", _REPORTED_MONEY, "Gross profit, twelve months", kind=Kind.INTEGER),
    _daily("DilutedEPSTTM", "diluted_eps_ttm", "USD per share", "Diluted earnings, twelve months"),
    _reported(
        "QuarterlyEarningsGrowthYOY", "quarterly_earnings_growth_yoy", "fraction", "Yearly growth of quarterly earnings"
    ),
    _reported(
        "QuarterlyRevenueGrowthYOY", "quarterly_revenue_growth_yoy", "fraction", "Yearly growth of quarterly revenue"
    ),
    _daily("AnalystTargetPrice", "analyst_target_price", "USD per share", "Price that analysts expect"),
    _rating("AnalystRatingStrongBuy", "analyst_rating_strong_buy", "Analysts who say strong buy"),
    _rating("AnalystRatingBuy", "analyst_rating_buy", "Analysts who say buy"),
    _rating("AnalystRatingHold", "analyst_rating_hold", "Analysts who say hold"),
    _rating("AnalystRatingSell", "analyst_rating_sell", "Analysts who say sell"),
    _rating("AnalystRatingStrongSell", "analyst_rating_strong_sell", "Analysts who say strong sell"),
    _daily("TrailingPE", "trailing_pe", "ratio", "Price to the past year's earnings", missing="-"),
    _daily("ForwardPE", "forward_pe", "ratio", "Price to the expected earnings", missing="-"),
    _daily("PriceToSalesRatioTTM", "price_to_sales_ratio_ttm", "ratio", "Price to revenue, twelve months", missing="-"),
    _daily("PriceToBookRatio", "price_to_book_ratio", "ratio", "Price to book value", missing="-"),
    _daily("EVToRevenue", "ev_to_revenue", "ratio", "Enterprise value to revenue", missing="-"),
    _daily("EVToEBITDA", "ev_to_ebitda", "ratio", "Enterprise value to EBITDA", missing="-"),
    _daily("Beta", "beta", "ratio", "Volatility against that of the market"),
    _daily("52WeekHigh", "week_52_high", "USD per share", "Highest price in 52 weeks"),
    _daily("52WeekLow", "week_52_low", "USD per share", "Lowest price in 52 weeks"),
    _daily("50DayMovingAverage", "day_50_moving_average", "USD per share", "Average price of 50 days"),
    _daily("200DayMovingAverage", "day_200_moving_average", "USD per share", "Average price of 200 days"),
    _reported("SharesOutstanding", "shares_outstanding", "shares", "Shares that shareholders hold", kind=Kind.INTEGER),
    _reported("SharesFloat", "shares_float", "shares", "Shares that trade freely", kind=Kind.INTEGER),
    _reported("PercentInsiders", "percent_insiders", "percent points", "Shares that insiders hold"),
    _reported("PercentInstitutions", "percent_institutions", "percent points", "Shares that institutions hold"),
    _reported("DividendDate", "dividend_date", "date", "Day on which a dividend is paid", kind=Kind.DATE),
    _reported("ExDividendDate", "ex_dividend_date", "date", "First day of trading without it", kind=Kind.DATE),
)
"""The fields that the API has sent since mid 2025, in its order. All others are stored in `extra`."""

SYMBOL_FIELD = CATALOGUE[0]
PROFILE_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.PROFILE and f is not SYMBOL_FIELD)
REPORTED_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.REPORTED)
DAILY_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.DAILY)
FIELDS = {field.name: field for field in CATALOGUE}
COLUMNS = {field.column: field for field in CATALOGUE}
FISCAL_FIELDS = tuple(
    COLUMNS[column]
    for column in (
        "revenue_ttm", "gross_profit_ttm", "ebitda", "profit_margin", "operating_margin_ttm", "return_on_assets_ttm",
        "book_value", "revenue_per_share_ttm", "quarterly_earnings_growth_yoy", "quarterly_revenue_growth_yoy",
    )
)  # fmt: skip
"""The reported fields that come from a quarter's statements, which a company can restate."""


class FieldNotFound(Trouble):
    """No field has the name given, or the field does not suit the question."""

    exit_code = ExitCode.USAGE


def find_field(text: str) -> Field:
    """Return the field with this name, a column's or the API's. Raise FieldNotFound, naming the nearest ones."""
    field = COLUMNS.get(text) or FIELDS.get(text) or _BY_LOWER.get(text.lower().replace("-", "_"))
    if field is not None:
        return field
    names = list(dict.fromkeys(_BY_LOWER[name].column for name in _similar(text.lower().replace("-", "_"))))[:3]
    remedy = f"did you mean {' or '.join(names)}?" if names else "pipeline fields lists all"
    raise FieldNotFound(f"unknown field {quoted(text)}", remedy=remedy)


def _similar(text: str) -> list[str]:
    """Return the names that a text may stand for, the best first: as abbreviations, else as misspellings."""
    if not text:
        return []
    columns = [field.column for field in CATALOGUE]
    return (
        [column for column in columns if column.startswith(f"{text}_")]
        + [column for column in columns if f"_{text}_" in f"_{column}_"]
        + [column for column in columns if "".join(word[0] for word in column.split("_")).startswith(text)]
        + [name for name in _BY_LOWER if name.startswith(text)]
        or difflib.get_close_matches(text, _BY_LOWER, n=3)
        or [name for name in _BY_LOWER if text in name]
    )


_BY_LOWER = {name.lower(): field for field in CATALOGUE for name in (field.name, field.column)}


ALL = "all"
"""Stands for every field, where a question takes fields."""


def find_fields(
    given: Iterable[str | Field] | None, default: Sequence[Field], *, every: Sequence[Field] = CATALOGUE
) -> tuple[Field, ...]:
    """Return the given fields without duplicates and the symbol, or the default ones where none are given.

    The name `all` gives those of `every`.
    """
    fields: list[Field] = []
    for name in [given] if isinstance(given, str) else given or ():
        if name == ALL:
            fields += every
        else:
            fields.append(name if isinstance(name, Field) else find_field(name))
    return tuple(dict.fromkeys(field for field in fields or default if field is not SYMBOL_FIELD))

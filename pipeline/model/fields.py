"""The field catalogue: every field of an overview with its column. A new API field goes here, and into a migration.

Schema, parser, views, docs, `fields` and `changes --part` follow CATALOGUE. Adding a field takes a line in it and a
migration that adds its column; until then the field is stored in `extra` and nothing is lost.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import ExitCode, Trouble


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
    missing: str = "None"
    """How the API usually writes "no value" in this field."""


def _profile(name: str, column: str, missing: str = "None") -> Field:
    return Field(name, column, Kind.TEXT, Part.PROFILE, "", missing)


def _reported(name: str, column: str, kind: Kind, unit: str, missing: str = "None") -> Field:
    return Field(name, column, kind, Part.REPORTED, unit, missing)


def _daily(name: str, column: str, unit: str, missing: str = "None", kind: Kind = Kind.REAL) -> Field:
    return Field(name, column, kind, Part.DAILY, unit, missing)


_REPORTED_MONEY = "reporting currency"
"""In the issuer's currency, although Currency says USD for every company: not comparable across companies."""

CATALOGUE: tuple[Field, ...] = (
    _profile("Symbol", "symbol"),
    _profile("AssetType", "asset_type"),
    _profile("Name", "name"),
    _profile("Description", "description"),
    _profile("CIK", "cik"),
    _profile("Exchange", "exchange"),
    _profile("Currency", "currency"),
    _profile("Country", "country"),
    _profile("Sector", "sector"),
    _profile("Industry", "industry"),
    _profile("Address", "address", missing="NONE"),
    _profile("OfficialSite", "official_site"),
    _profile("FiscalYearEnd", "fiscal_year_end"),
    _reported("LatestQuarter", "latest_quarter", Kind.DATE, "date"),
    _daily("MarketCapitalization", "market_capitalization", "USD", kind=Kind.INTEGER),
    _reported("EBITDA", "ebitda", Kind.INTEGER, _REPORTED_MONEY),
    _daily("PERatio", "pe_ratio", "ratio"),
    _daily("PEGRatio", "peg_ratio", "ratio"),
    _reported("BookValue", "book_value", Kind.REAL, f"{_REPORTED_MONEY} per share"),
    _reported("DividendPerShare", "dividend_per_share", Kind.REAL, "USD per share"),
    _daily("DividendYield", "dividend_yield", "fraction"),
    _daily("EPS", "eps", "USD per share"),
    _reported("RevenuePerShareTTM", "revenue_per_share_ttm", Kind.REAL, f"{_REPORTED_MONEY} per share"),
    _reported("ProfitMargin", "profit_margin", Kind.REAL, "fraction"),
    _reported("OperatingMarginTTM", "operating_margin_ttm", Kind.REAL, "fraction"),
    _reported("ReturnOnAssetsTTM", "return_on_assets_ttm", Kind.REAL, "fraction"),
    _daily("ReturnOnEquityTTM", "return_on_equity_ttm", "fraction"),
    _reported("RevenueTTM", "revenue_ttm", Kind.INTEGER, _REPORTED_MONEY),
    _reported("GrossProfitTTM", "gross_profit_ttm", Kind.INTEGER, _REPORTED_MONEY),
    _daily("DilutedEPSTTM", "diluted_eps_ttm", "USD per share"),
    _reported("QuarterlyEarningsGrowthYOY", "quarterly_earnings_growth_yoy", Kind.REAL, "fraction"),
    _reported("QuarterlyRevenueGrowthYOY", "quarterly_revenue_growth_yoy", Kind.REAL, "fraction"),
    _daily("AnalystTargetPrice", "analyst_target_price", "USD per share"),
    _reported("AnalystRatingStrongBuy", "analyst_rating_strong_buy", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingBuy", "analyst_rating_buy", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingHold", "analyst_rating_hold", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingSell", "analyst_rating_sell", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingStrongSell", "analyst_rating_strong_sell", Kind.INTEGER, "analysts", "-"),
    _daily("TrailingPE", "trailing_pe", "ratio", "-"),
    _daily("ForwardPE", "forward_pe", "ratio", "-"),
    _daily("PriceToSalesRatioTTM", "price_to_sales_ratio_ttm", "ratio", "-"),
    _daily("PriceToBookRatio", "price_to_book_ratio", "ratio", "-"),
    _daily("EVToRevenue", "ev_to_revenue", "ratio", "-"),
    _daily("EVToEBITDA", "ev_to_ebitda", "ratio", "-"),
    _daily("Beta", "beta", "ratio"),
    _daily("52WeekHigh", "week_52_high", "USD per share"),
    _daily("52WeekLow", "week_52_low", "USD per share"),
    _daily("50DayMovingAverage", "day_50_moving_average", "USD per share"),
    _daily("200DayMovingAverage", "day_200_moving_average", "USD per share"),
    _reported("SharesOutstanding", "shares_outstanding", Kind.INTEGER, "shares"),
    _reported("SharesFloat", "shares_float", Kind.INTEGER, "shares"),
    _reported("PercentInsiders", "percent_insiders", Kind.REAL, "percent points"),
    _reported("PercentInstitutions", "percent_institutions", Kind.REAL, "percent points"),
    _reported("DividendDate", "dividend_date", Kind.DATE, "date"),
    _reported("ExDividendDate", "ex_dividend_date", Kind.DATE, "date"),
)
"""The 55 fields that the API has sent since mid 2025, in its order. All others are stored in `extra`."""

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
    remedy = f"did you mean {' or '.join(names)}?" if names else "the view fields in the database lists all"
    raise FieldNotFound(f"unknown field {text[:40]!r}", remedy=remedy)


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


def find_fields(given: Iterable[str | Field] | None, default: Sequence[Field]) -> tuple[Field, ...]:
    """Return the given fields without duplicates and the symbol, or the default ones where none are given."""
    names = [given] if isinstance(given, str) else given or ()
    fields = [field if isinstance(field, Field) else find_field(field) for field in names] or default
    return tuple(dict.fromkeys(field for field in fields if field is not SYMBOL_FIELD))

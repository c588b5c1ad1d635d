"""Labels: what people call a field. Short enough for the head of a column; its description says the rest."""

from collections.abc import Mapping

from pipeline.model.fields import Field, Part

_LABELS: Mapping[str, str] = {
    "asset_type": "Type",
    "official_site": "Website",
    "cik": "CIK",
    "fiscal_year_end": "Fiscal year ends",
    "market_capitalization": "Market cap",
    "ebitda": "EBITDA",
    "pe_ratio": "P/E",
    "peg_ratio": "PEG",
    "dividend_per_share": "Dividend/share",
    "eps": "EPS",
    "revenue_per_share_ttm": "Revenue/share",
    "operating_margin_ttm": "Operating margin",
    "return_on_assets_ttm": "Return on assets",
    "return_on_equity_ttm": "Return on equity",
    "revenue_ttm": "Revenue",
    "gross_profit_ttm": "Gross profit",
    "diluted_eps_ttm": "Diluted EPS",
    "quarterly_earnings_growth_yoy": "Earnings growth",
    "quarterly_revenue_growth_yoy": "Revenue growth",
    "analyst_target_price": "Target price",
    "analyst_rating_strong_buy": "Strong buy",
    "analyst_rating_buy": "Buy",
    "analyst_rating_hold": "Hold",
    "analyst_rating_sell": "Sell",
    "analyst_rating_strong_sell": "Strong sell",
    "trailing_pe": "Trailing P/E",
    "forward_pe": "Forward P/E",
    "price_to_sales_ratio_ttm": "P/S",
    "price_to_book_ratio": "P/B",
    "ev_to_revenue": "EV/Revenue",
    "ev_to_ebitda": "EV/EBITDA",
    "week_52_high": "52-week high",
    "week_52_low": "52-week low",
    "day_50_moving_average": "50-day average",
    "day_200_moving_average": "200-day average",
    "shares_outstanding": "Shares",
    "shares_float": "Float",
    "percent_insiders": "Insiders",
    "percent_institutions": "Institutions",
    "ex_dividend_date": "Ex-dividend date",
}
"""Where the words of the column alone would be long or odd."""

SPEEDS: Mapping[Part, str] = {
    Part.PROFILE: "almost never",
    Part.REPORTED: "with reports",
    Part.DAILY: "with the price",
}
"""How often the fields of a part change."""


def label(field: Field) -> str:
    """Return what pages and feeds call a field: `P/E`, `Latest quarter`."""
    return _LABELS.get(field.column) or field.column.replace("_", " ").capitalize()

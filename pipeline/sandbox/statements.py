"""Statements: what a company reported for each quarter, when the API shows it, and how it is restated."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.sandbox.noise import noise
from pipeline.sandbox.profiles import BANKS, MONTHS_AFTER_CALENDAR, Company, prosperity
from pipeline.sandbox.spelling import spell_number, spell_thousands

_RESTATED = 0.06
"""The share of quarters that are restated before the next one is reported."""
_RESTATEMENT_DAYS = 25
"""The fewest days from a report to its restatement; the next report is always later."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a company reported for a quarter: as the API's fields, and as figures that the daily fields follow from."""

    fields: Mapping[str, str | None]
    shares: float
    revenue: float
    revenue_per_share: float
    ebitda: float | None
    earnings: float
    """Per share, as equity and dividend."""
    equity: float
    dividend: float
    return_on_equity: float


def _quarter_end(company: Company, quarter: int) -> date:
    months = quarter * 3 + 3 + MONTHS_AFTER_CALENDAR.get(company.profile["FiscalYearEnd"], 0)
    return date.fromordinal(date(months // 12, months % 12 + 1, 1).toordinal() - 1)


def _shown_on(company: Company, quarter: int) -> int:
    """Return the day on which the API shows a quarter: some days after the report."""
    lag = 1 + int(noise(company.key + 31, quarter) ** 2 * 8)
    return _quarter_end(company, quarter).toordinal() + company.report_delay + lag


def latest_quarter(company: Company, ordinal: int) -> int:
    """Return the last quarter shown by this day."""
    today = date.fromordinal(ordinal)
    quarter = (today.year * 12 + today.month - 1) // 3
    while _shown_on(company, quarter) > ordinal:
        quarter -= 1
    return quarter


def edition_shown(company: Company, quarter: int, ordinal: int) -> int:
    """Return how often the quarter was restated by this day: 0 or, rarely, 1."""
    if noise(company.key + 32, quarter) >= _RESTATED:
        return 0
    days = _RESTATEMENT_DAYS + int(noise(company.key + 33, quarter) * 25)
    return int(ordinal >= _shown_on(company, quarter) + days)


def _revenue(company: Company, quarter: int) -> float:
    """Return what was sold in the four quarters up to this one."""
    return (
        company.revenue
        * math.exp(prosperity(company.key, quarter / 4))
        * (0.98 + 0.04 * noise(company.key + 34, quarter))
    )


def _margin_change(company: Company, quarter: int) -> float:
    return 0.9 + 0.2 * noise(company.key + 35, quarter)


def _shares(company: Company, quarter: int) -> float:
    return round(company.shares * (0.97 + 0.03 * noise(company.key + 36, quarter)), -3)


def _earnings(company: Company, quarter: int) -> float:
    """Return the earnings per share of the four quarters up to this one, before any restatement."""
    income = _revenue(company, quarter) * company.margin * _margin_change(company, quarter)
    return income / _shares(company, quarter)


def make_statement(company: Company, quarter: int, edition: int) -> Statement:
    correction = 0.97 + 0.02 * noise(company.key + 37, quarter) if edition else 1.0
    revenue = _revenue(company, quarter) * correction
    shares = _shares(company, quarter)
    margin_change = _margin_change(company, quarter)
    operating_margin = company.operating_margin * margin_change
    ebitda = None if company.profile["Sector"] == BANKS else revenue * (operating_margin + 0.05)
    earnings = _earnings(company, quarter) * correction
    level = math.exp(prosperity(company.key, quarter / 4))
    equity = company.equity * level * (0.98 + 0.04 * noise(company.key + 38, quarter))
    dividend = company.dividend * level
    fields = {
        "LatestQuarter": _quarter_end(company, quarter).isoformat(),
        "EBITDA": None if ebitda is None else spell_thousands(ebitda),
        "BookValue": spell_number(equity, 3),
        "DividendPerShare": spell_number(dividend, 3) if dividend else None,
        "RevenuePerShareTTM": spell_number(revenue / shares, 3),
        "ProfitMargin": spell_number(company.margin * margin_change, 4),
        "OperatingMarginTTM": spell_number(operating_margin, 4),
        "ReturnOnAssetsTTM": spell_number(earnings / equity * 0.4, 4),
        "RevenueTTM": spell_thousands(revenue),
        "GrossProfitTTM": spell_thousands(revenue * company.gross_margin),
        "QuarterlyEarningsGrowthYOY": _growth(earnings, _earnings(company, quarter - 4)),
        "QuarterlyRevenueGrowthYOY": _growth(revenue, _revenue(company, quarter - 4)),
        "SharesFloat": str(round(shares * (0.99 - company.insiders / 100))),
        "PercentInsiders": spell_number(company.insiders * (0.98 + 0.02 * noise(company.key + 39, quarter)), 3),
        "PercentInstitutions": spell_number(company.institutions * (0.98 + 0.02 * noise(company.key + 40, quarter)), 3),
    }
    return Statement(fields, shares, revenue, revenue / shares, ebitda, earnings, equity, dividend, earnings / equity)


def _growth(now: float, before: float) -> str:
    """Return the growth in a year; 0, as the API has it, where there were losses to grow from."""
    return spell_number(now / before - 1, 3) if before > 0 else "0"

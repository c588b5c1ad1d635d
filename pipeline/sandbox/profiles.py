"""Company: the profile and the usual figures invented for a symbol, which do not change."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from random import Random

from pipeline.model.invented import INVENTED
from pipeline.model.symbols import Symbol
from pipeline.sandbox.noise import seeded_random, smooth
from pipeline.sandbox.trading_days import on_weekday

_STARTS = ("b", "br", "d", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "t", "tr", "v", "z")
_CORES = ("a", "e", "i", "o", "u", "an", "el", "or")
_ENDINGS = ("Inc", "Corp", "Holdings Inc", "Group Inc", "Company", "plc", "Ltd")
_STREETS = ("Street", "Avenue", "Road", "Lane", "Boulevard", "Quay")
_TRADES = (
    ("TECHNOLOGY", "SOFTWARE - APPLICATION", "Software"),
    ("TECHNOLOGY", "SEMICONDUCTORS", "Semiconductors"),
    ("TECHNOLOGY", "INFORMATION TECHNOLOGY SERVICES", "Systems"),
    ("HEALTHCARE", "DRUG MANUFACTURERS - GENERAL", "Pharma"),
    ("HEALTHCARE", "MEDICAL DEVICES", "Instruments"),
    ("FINANCIAL SERVICES", "BANKS - REGIONAL", "Bancorp"),
    ("FINANCIAL SERVICES", "INSURANCE - DIVERSIFIED", "Assurance"),
    ("ENERGY", "OIL & GAS E&P", "Energy"),
    ("INDUSTRIALS", "RAILROADS", "Rail"),
    ("INDUSTRIALS", "SPECIALTY INDUSTRIAL MACHINERY", "Works"),
    ("CONSUMER CYCLICAL", "RESTAURANTS", "Kitchens"),
    ("CONSUMER DEFENSIVE", "BEVERAGES - NON-ALCOHOLIC", "Waters"),
    ("COMMUNICATION SERVICES", "TELECOM SERVICES", "Telecom"),
    ("BASIC MATERIALS", "SPECIALTY CHEMICALS", "Chemicals"),
    ("REAL ESTATE", "REIT - INDUSTRIAL", "Properties"),
    ("UTILITIES", "UTILITIES - REGULATED ELECTRIC", "Power"),
)
BANKS = "FINANCIAL SERVICES"
_FISCAL_YEAR_ENDS = {"December": 73, "September": 8, "June": 8, "March": 5, "January": 6}
"""The month a fiscal year ends, with the number of companies in a hundred."""
MONTHS_AFTER_CALENDAR = {"January": 1}
"""Months by which a company's quarters end later than the calendar's, by the end of its fiscal year."""
NON_ASCII = Symbol("OXNEV")
_NAMES = {NON_ASCII: "Øxnevåg\N{RIGHT SINGLE QUOTATION MARK}s Tømmerværk\N{NO-BREAK SPACE}A/S"}
"""A name with characters outside ASCII, as real ones have: letters, an apostrophe, a space."""
NO_FIGURES = ("-U", "-WS")
"""Suffixes of units and warrants: the API answers them with a whole document that has no figures."""


@dataclass(frozen=True, slots=True)
class Company:
    """What does not change about an invented company."""

    key: int
    """The seed of everything about it that changes."""
    profile: Mapping[str, str]
    ipo: date
    report_delay: int
    """Days from a quarter's end until its report."""
    price: float
    """USD a share, in a usual year, as all figures below."""
    volatility: float
    revenue: float
    gross_margin: float
    operating_margin: float
    margin: float
    shares: float
    equity: float
    dividend: float
    """USD a share and year; 0 if it pays none."""
    debt: float
    """Net debt, as a share of the market's value."""
    insiders: float
    institutions: float
    forecast: float
    """Next year's expected earnings, as a multiple of the last year's."""
    peg: float
    target: float
    """The analysts' price, as a multiple of the market's; 0 without analysts."""
    beta: float


def invent(seed: int, symbol: Symbol, *, listed: bool) -> Company:
    """Return the company of this symbol; its name is like the symbol only if the sandbox lists it."""
    random = seeded_random(seed, symbol, "figures")
    price = math.exp(random.uniform(math.log(8), math.log(500)))
    shares = 10 ** random.uniform(8.3, 11.3) / price
    margin = random.uniform(0.03, 0.3) if random.random() < 0.82 else random.uniform(-0.35, -0.02)
    sales_multiple = margin * random.uniform(9, 40) if margin > 0 else random.uniform(0.5, 8)
    earnings = margin * price / sales_multiple
    return Company(
        key=random.getrandbits(64),
        profile=_profile(seed, symbol, listed=listed),
        ipo=on_weekday(random.randint(date(1985, 1, 1).toordinal(), date(2023, 12, 1).toordinal())),
        report_delay=random.randint(10, 45),
        price=price,
        volatility=random.uniform(0.02, 0.06),
        revenue=price * shares / sales_multiple,
        gross_margin=min(0.95, max(margin, 0) * 1.4 + random.uniform(0.1, 0.5)),
        operating_margin=margin * 1.3 if margin > 0 else margin * 0.9,
        margin=margin,
        shares=shares,
        equity=price / random.uniform(0.8, 9),
        dividend=earnings * random.uniform(0.2, 0.7) if margin > 0 and random.random() < 0.75 else 0.0,
        debt=random.uniform(-0.1, 0.5),
        insiders=random.uniform(0.05, 15),
        institutions=random.uniform(20, 103),  # the API's own sum passes 100
        forecast=random.uniform(0.95, 1.3),
        peg=random.uniform(0.6, 4) if margin > 0 and random.random() < 0.8 else 0.0,
        target=random.uniform(0.95, 1.3) if random.random() < 0.9 else 0.0,
        beta=random.uniform(0.3, 2.2),
    )


def _profile(seed: int, symbol: Symbol, *, listed: bool) -> dict[str, str]:
    """Return the fields that say who the company is. Class shares have nearly all of them in common."""
    family, _, share = symbol.partition("-")
    random = seeded_random(seed, family, "profile")
    sector, industry, trade = random.choice(_TRADES)
    word = _word(random)
    name = _NAMES.get(symbol) or f"{family.capitalize() if listed else word} {trade} {random.choice(_ENDINGS)}"
    town = _word(random)
    street = f"{random.randint(1, 999)} {_word(random)} {random.choice(_STREETS)}"
    return {
        "Symbol": symbol,
        "AssetType": "Common Stock",
        "Name": f"{name} Class {share}" if len(share) == 1 and not symbol.endswith(NO_FIGURES) else name,
        "Description": _description(symbol, name, industry, town),
        "CIK": str(random.randint(9_000_000, 9_999_999)),  # beyond the real ones
        "Exchange": random.choice(("NYSE", "NASDAQ")),
        "Currency": "USD",
        "Country": "USA",
        "Sector": sector,
        "Industry": industry,
        "Address": f"{street}, {town}, UNITED STATES".upper(),
        "OfficialSite": f"https://www.{town.lower()}.example",
        "FiscalYearEnd": random.choices(list(_FISCAL_YEAR_ENDS), list(_FISCAL_YEAR_ENDS.values()))[0],
    }


def _word(random: Random) -> str:
    syllables = [random.choice(_STARTS) + random.choice(_CORES) for _ in range(3)]
    return "".join(syllables).capitalize()


def _description(symbol: Symbol, name: str, industry: str, town: str) -> str:
    return (
        f"{name} {INVENTED}, figures and all, and it has nothing to do with any "
        f"real company of the symbol {symbol}. In the sandbox it is in the trade of {industry.lower()} and keeps its "
        f"head office in {town}."
    )


def prosperity(key: int, year: float) -> float:
    """Return the logarithm of a company's figures in a year, as a multiple of the usual ones."""
    growth = 0.04 * min(max(year - 2020, -40), 40)  # bounded, so that no year is out of range
    return growth + 0.5 * smooth(key + 1, year / 7) + 0.2 * smooth(key + 2, year / 2.3)

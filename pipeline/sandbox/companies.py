"""Invented companies: the overview that the stand-in API gives for any symbol on any day.

Everything is a function of the seed, the symbol and the day, so that no day needs the days before it. Slow values are
smooth noise over the years; prices are walks that are pinned to it once in a block of trading days; what moves now and
then holds still for a number of days that makes it move as often as the real field was measured to.
"""

import csv
import io
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import accumulate
from random import Random

from pipeline.model.fields import CATALOGUE
from pipeline.model.symbols import Symbol

_MISSING = {field.name: field.missing for field in CATALOGUE}
_REMEMBERED = 16_384
"""Companies kept ready, about 6 kB each: a day's round over every symbol of the American exchanges finds them again."""


# Noise


_WORD = 2**64 - 1


def _noise(key: int, step: int) -> float:
    """Return a number in [0, 1) drawn for this step: by splitmix64, for it is cheap."""
    bits = (key + step * 0x9E3779B97F4A7C15) & _WORD
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _WORD
    return ((bits ^ (bits >> 31)) >> 11) * 2.0**-53


def _smooth(key: int, place: float) -> float:
    """Return a number in [-1, 1] that changes smoothly with the place, and is drawn anew at every whole one."""
    step = math.floor(place)
    share = place - step
    share *= share * (3 - 2 * share)
    before, after = _noise(key, step), _noise(key, step + 1)
    return 2 * (before + (after - before) * share) - 1


def _level(key: int, year: float) -> float:
    """Return the logarithm of how well a company does in a year, beside what is usual for it."""
    growth = 0.04 * min(max(year - 2020, -40), 40)  # bounded, so that no year is out of range
    return growth + 0.5 * _smooth(key + 1, year / 7) + 0.2 * _smooth(key + 2, year / 2.3)


def _random(*of: object) -> Random:
    """Return a generator that draws the same for the same objects, in any process."""
    return Random("/".join(map(str, of)))  # noqa: S311 - it has to be reproducible, and keeps nothing secret


@dataclass(frozen=True, slots=True)
class _Pace:
    """How often a field moves: on so many trading days of a thousand, each company on its own."""

    moves: int
    salt: int

    def age(self, key: int, day: int) -> int:
        """Return for how many trading days the field has held still."""
        return (day * self.moves + (key >> self.salt) % 1000) % 1000 // self.moves

    def noise(self, key: int, day: int) -> float:
        """Return a number in [0, 1) that holds as long as the field does."""
        moved = (day * self.moves + (key >> self.salt) % 1000) // 1000
        return _noise(key + self.salt, moved)


# What was measured, divided by the chance that a move shows in the digits that are written.
_AVERAGES = _Pace(moves=780, salt=11)
_EPS = _Pace(moves=560, salt=12)
_DILUTED_EPS = _Pace(moves=420, salt=13)
_DIVIDEND_YIELD = _Pace(moves=560, salt=14)
_TARGET_PRICE = _Pace(moves=290, salt=15)
_RETURN_ON_EQUITY = _Pace(moves=170, salt=16)
_PRICE_TO_SALES = _Pace(moves=50, salt=17)
_PRICE_TO_BOOK = _Pace(moves=50, salt=18)
_FORWARD_PE = _Pace(moves=55, salt=19)
_EV_TO_REVENUE = _Pace(moves=35, salt=20)
_EV_TO_EBITDA = _Pace(moves=35, salt=21)
_PEG = _Pace(moves=40, salt=22)
_BETA = _Pace(moves=42, salt=23)
_SHARES = _Pace(moves=35, salt=24)
_RATINGS = _Pace(moves=12, salt=25)


# Days


_WEEK = 7
_TRADING_WEEK = 5
_TRADING_YEAR = 252
"""Of so many trading days the API's 52 weeks consist; they are drawn together."""
_DIVIDEND_PERIOD = 91
_DAYS_A_YEAR = 365.25 / _WEEK * _TRADING_WEEK


def _trading_day(day: date) -> int:
    """Return the number of the last weekday up to this day: on Saturday and Sunday nothing moves."""
    weeks, weekday = divmod(day.toordinal() - 1, _WEEK)  # the ordinal 1 was a Monday
    return weeks * _TRADING_WEEK + min(weekday, _TRADING_WEEK - 1)


def _ordinal(trading_day: int) -> int:
    weeks, weekday = divmod(trading_day, _TRADING_WEEK)
    return weeks * _WEEK + weekday + 1


def _on_weekday(ordinal: int) -> date:
    """Return the day, or the Monday after it where it falls on a weekend."""
    weekday = (ordinal - 1) % _WEEK
    return date.fromordinal(ordinal + (_WEEK - weekday if weekday >= _TRADING_WEEK else 0))


# Who a company is


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
_BANKS = "FINANCIAL SERVICES"
_FISCAL_YEAR_ENDS = {"December": 73, "September": 8, "June": 8, "March": 5, "January": 6}
"""How many companies of a hundred end their year in each month."""
_MONTHS_AFTER_THE_CALENDAR = {"January": 1}
"""By how many months a company's quarters end later than those of the calendar."""
_OUTSIDE_ASCII = Symbol("OXNEV")
_NAMES = {_OUTSIDE_ASCII: "Øxnevåg\N{RIGHT SINGLE QUOTATION MARK}s Tømmerværk\N{NO-BREAK SPACE}A/S"}
"""Real names have such characters too, an apostrophe and a space outside ASCII among them."""
_HOLLOW = ("-U", "-WS")
"""Units and warrants: the API answers them with a whole document, and has no figure for any of its fields."""


@dataclass(frozen=True, slots=True)
class _Company:
    """What does not change about an invented company."""

    key: int
    """From which all that changes is drawn."""
    profile: Mapping[str, str]
    ipo: date
    report_delay: int
    """Days from a quarter's end until its report."""
    price: float
    """In a usual year, as the other figures are."""
    volatility: float
    revenue: float
    gross_margin: float
    operating_margin: float
    margin: float
    shares: float
    equity: float
    dividend: float
    """0 where none is paid."""
    debt: float
    """Net debt, as a share of the market's value."""
    insiders: float
    institutions: float
    forecast: float
    """The earnings expected of the next year, as a multiple of the last one's."""
    peg: float
    target: float
    """The analysts' price, as a multiple of the market's; 0 where no analyst looks."""
    beta: float


def _invent(seed: int, symbol: Symbol, *, listed: bool) -> _Company:
    """Return the company of this symbol; its name sounds like the symbol only if the sandbox itself lists it."""
    random = _random(seed, symbol, "figures")
    price = math.exp(random.uniform(math.log(8), math.log(500)))
    shares = 10 ** random.uniform(8.3, 11.3) / price
    margin = random.uniform(0.03, 0.3) if random.random() < 0.82 else random.uniform(-0.35, -0.02)
    sales_multiple = margin * random.uniform(9, 40) if margin > 0 else random.uniform(0.5, 8)
    earnings = margin * price / sales_multiple
    return _Company(
        key=random.getrandbits(64),
        profile=_profile(seed, symbol, listed=listed),
        ipo=_on_weekday(random.randint(date(1985, 1, 1).toordinal(), date(2023, 12, 1).toordinal())),
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
    """Return who the company is, which its class shares have in common."""
    family, _, share = symbol.partition("-")
    random = _random(seed, family, "profile")
    sector, industry, trade = random.choice(_TRADES)
    word = _word(random)
    name = _NAMES.get(symbol) or f"{family.capitalize() if listed else word} {trade} {random.choice(_ENDINGS)}"
    town = _word(random)
    street = f"{random.randint(1, 999)} {_word(random)} {random.choice(_STREETS)}"
    return {
        "Symbol": symbol,
        "AssetType": "Common Stock",
        "Name": f"{name} Class {share}" if len(share) == 1 and not symbol.endswith(_HOLLOW) else name,
        "Description": _description(symbol, name, industry, town),
        "CIK": str(random.randint(9_000_000, 9_999_999)),  # real ones have not come that far
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
        f"{name} is an invented company: the sandbox made it up, figures and all, and it has nothing to do with any "
        f"real company of the symbol {symbol}. In the sandbox it is in the trade of {industry.lower()} and keeps its "
        f"head office in {town}."
    )


# Prices


_STILL = 0.1
"""On so many days the API has no new price."""


def _prices(company: _Company, year: int) -> "array[int]":
    """Return the prices of a year of trading days, in cents: a walk from one pinned price to the next."""
    draw = _random(company.key, year).random
    moves = [(draw() + draw() - 1) * company.volatility if draw() > _STILL else 0.0 for _ in range(_TRADING_YEAR)]
    start, end = _pinned(company, year), _pinned(company, year + 1)
    # fsum, since sum adds otherwise from one version of Python to the next
    correction = (end - start - math.fsum(moves)) / sum(map(bool, moves))
    walk = accumulate((move and move + correction for move in moves), initial=start)
    next(walk)
    return array("i", (int(math.exp(height)) or 1 for height in walk))


def _pinned(company: _Company, year: int) -> float:
    """Return the logarithm of the price in cents on the eve of a year of trading days."""
    level = _level(company.key, year * _TRADING_YEAR / _DAYS_A_YEAR)
    return math.log(company.price * 100) + level + 0.1 * (2 * _noise(company.key, year) - 1)


@dataclass(frozen=True, slots=True)
class _Chart:
    """The prices of the last 52 weeks, in cents, the newest last."""

    cents: list[int]

    def price(self, age: int = 0) -> float:
        """Return the price so many trading days ago."""
        return self.cents[-1 - age] / 100

    def average(self, days: int, age: int) -> float:
        """Return the mean of the days up to so many trading days ago."""
        end = len(self.cents) - age
        return sum(self.cents[end - days : end]) / days / 100

    def high(self) -> float:
        return max(self.cents) / 100

    def low(self) -> float:
        return min(self.cents) / 100


# What a company reported


_RESTATED = 0.06
"""How many quarters are restated before the next one is reported."""
_RESTATEMENT_DAYS = 25
"""The fewest days from a report to its restatement; the next report is never that near."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """What a company reported for a quarter: in the API's fields, and as figures for what follows from them."""

    fields: Mapping[str, str | None]
    shares: float
    revenue: float
    revenue_per_share: float
    ebitda: float | None
    earnings: float
    """Per share."""
    equity: float
    """Per share."""
    dividend: float
    return_on_equity: float


def _quarter_end(company: _Company, quarter: int) -> date:
    months = quarter * 3 + 3 + _MONTHS_AFTER_THE_CALENDAR.get(company.profile["FiscalYearEnd"], 0)
    return date.fromordinal(date(months // 12, months % 12 + 1, 1).toordinal() - 1)


def _shown_on(company: _Company, quarter: int) -> int:
    """Return the day on which the API shows a quarter: some days after the report."""
    lag = 1 + int(_noise(company.key + 31, quarter) ** 2 * 8)
    return _quarter_end(company, quarter).toordinal() + company.report_delay + lag


def _latest_quarter(company: _Company, ordinal: int) -> int:
    """Return the last quarter shown by this day."""
    today = date.fromordinal(ordinal)
    quarter = (today.year * 12 + today.month - 1) // 3
    while _shown_on(company, quarter) > ordinal:
        quarter -= 1
    return quarter


def _edition(company: _Company, quarter: int, ordinal: int) -> int:
    """Return how often the quarter has been restated by this day: once at most, and seldom."""
    if _noise(company.key + 32, quarter) >= _RESTATED:
        return 0
    days = _RESTATEMENT_DAYS + int(_noise(company.key + 33, quarter) * 25)
    return int(ordinal >= _shown_on(company, quarter) + days)


def _revenue(company: _Company, quarter: int) -> float:
    """Return what was sold in the four quarters up to this one."""
    return (
        company.revenue * math.exp(_level(company.key, quarter / 4)) * (0.98 + 0.04 * _noise(company.key + 34, quarter))
    )


def _margin_change(company: _Company, quarter: int) -> float:
    return 0.9 + 0.2 * _noise(company.key + 35, quarter)


def _shares(company: _Company, quarter: int) -> float:
    return round(company.shares * (0.97 + 0.03 * _noise(company.key + 36, quarter)), -3)


def _earnings(company: _Company, quarter: int) -> float:
    """Return the earnings per share of the four quarters up to this one, before any restatement."""
    income = _revenue(company, quarter) * company.margin * _margin_change(company, quarter)
    return income / _shares(company, quarter)


def _statement(company: _Company, quarter: int, edition: int) -> _Statement:
    correction = 0.97 + 0.02 * _noise(company.key + 37, quarter) if edition else 1.0
    revenue = _revenue(company, quarter) * correction
    shares = _shares(company, quarter)
    margin_change = _margin_change(company, quarter)
    operating_margin = company.operating_margin * margin_change
    ebitda = None if company.profile["Sector"] == _BANKS else revenue * (operating_margin + 0.05)
    earnings = _earnings(company, quarter) * correction
    level = math.exp(_level(company.key, quarter / 4))
    equity = company.equity * level * (0.98 + 0.04 * _noise(company.key + 38, quarter))
    dividend = company.dividend * level
    fields = {
        "LatestQuarter": _quarter_end(company, quarter).isoformat(),
        "EBITDA": None if ebitda is None else _thousands(ebitda),
        "BookValue": _plain(equity, 3),
        "DividendPerShare": _plain(dividend, 3) if dividend else None,
        "RevenuePerShareTTM": _plain(revenue / shares, 3),
        "ProfitMargin": _plain(company.margin * margin_change, 4),
        "OperatingMarginTTM": _plain(operating_margin, 4),
        "ReturnOnAssetsTTM": _plain(earnings / equity * 0.4, 4),
        "RevenueTTM": _thousands(revenue),
        "GrossProfitTTM": _thousands(revenue * company.gross_margin),
        "QuarterlyEarningsGrowthYOY": _growth(earnings, _earnings(company, quarter - 4)),
        "QuarterlyRevenueGrowthYOY": _growth(revenue, _revenue(company, quarter - 4)),
        "SharesFloat": str(round(shares * (0.99 - company.insiders / 100))),
        "PercentInsiders": _plain(company.insiders * (0.98 + 0.02 * _noise(company.key + 39, quarter)), 3),
        "PercentInstitutions": _plain(company.institutions * (0.98 + 0.02 * _noise(company.key + 40, quarter)), 3),
    }
    return _Statement(fields, shares, revenue, revenue / shares, ebitda, earnings, equity, dividend, earnings / equity)


def _growth(now: float, before: float) -> str:
    """Return the growth in a year; 0, as the API has it, where there were losses to grow from."""
    return _plain(now / before - 1, 3) if before > 0 else "0"


# What follows the price


def _daily(company: _Company, statement: _Statement, chart: _Chart, day: int) -> dict[str, str | None]:
    """Return the fields that may change on any trading day."""
    price = chart.price()
    shares = round(statement.shares * (1 - 0.002 * _SHARES.noise(company.key, day)), -3)
    earnings = _quoted_earnings(company, statement, day)
    diluted = _quoted_earnings(company, statement, day - _DILUTED_EPS.age(company.key, day))
    ratio = _plain(price / earnings, 2) if earnings > 0 else None
    averages = _AVERAGES.age(company.key, day)
    swing = 0.98 + 0.04 * _RETURN_ON_EQUITY.noise(company.key, day)
    return {
        "MarketCapitalization": str(round(price * shares)),
        "PERatio": ratio,
        "TrailingPE": ratio,
        "EPS": _plain(earnings, 2),
        "DilutedEPSTTM": _plain(diluted, 2),
        "ReturnOnEquityTTM": _plain(statement.return_on_equity * swing, 4),
        "Beta": _plain(company.beta * (0.97 + 0.06 * _BETA.noise(company.key, day)), 3),
        "52WeekHigh": _plain(chart.high(), 2),
        "52WeekLow": _plain(chart.low(), 2),
        "50DayMovingAverage": _plain(chart.average(50, averages), 2),
        "200DayMovingAverage": _plain(chart.average(200, averages), 2),
        "SharesOutstanding": str(int(shares)),
        **_ratios(company, statement, chart, day),
        **_analysts(company, chart, day),
        **_dividends(company, statement, chart, day),
    }


def _quoted_earnings(company: _Company, statement: _Statement, day: int) -> float:
    """Return the earnings per share as the API has them today: it computes them again every other day, a little off."""
    spread = max(0.01, abs(statement.earnings) / 100)
    return round(statement.earnings + (int(_EPS.noise(company.key, day) * 5) - 2) * spread, 2)


def _ratios(company: _Company, statement: _Statement, chart: _Chart, day: int) -> dict[str, str | None]:
    """Return the ratios that the API computes only now and then, from the price of that day."""

    def price(pace: _Pace) -> float:
        return chart.price(pace.age(company.key, day))

    enterprise = (1 + company.debt) * statement.shares
    ebitda, forward = statement.ebitda, statement.earnings * company.forecast
    growth = company.peg * (0.9 + 0.2 * _PEG.noise(company.key, day))
    return {
        "PEGRatio": _plain(growth, 3) if growth else None,
        "ForwardPE": _plain(price(_FORWARD_PE) / forward, 2) if forward > 0 else None,
        "PriceToSalesRatioTTM": _plain(price(_PRICE_TO_SALES) / statement.revenue_per_share, 3),
        "PriceToBookRatio": _plain(price(_PRICE_TO_BOOK) / statement.equity, 3),
        "EVToRevenue": _plain(price(_EV_TO_REVENUE) * enterprise / statement.revenue, 3),
        "EVToEBITDA": _plain(price(_EV_TO_EBITDA) * enterprise / ebitda, 2) if ebitda and ebitda > 0 else None,
    }


def _analysts(company: _Company, chart: _Chart, day: int) -> dict[str, str | None]:
    if not company.target:
        return {}
    opinion = company.target * (0.99 + 0.02 * _TARGET_PRICE.noise(company.key, day))
    views = int(_RATINGS.noise(company.key, day) * 2**40)
    return {
        "AnalystTargetPrice": _plain(chart.price(_TARGET_PRICE.age(company.key, day)) * opinion, 2),
        "AnalystRatingStrongBuy": str(views % 9),
        "AnalystRatingBuy": str(views % 14),
        "AnalystRatingHold": str(views % 11),
        "AnalystRatingSell": str(views % 4),
        "AnalystRatingStrongSell": str(views % 3),
    }


def _dividends(company: _Company, statement: _Statement, chart: _Chart, day: int) -> dict[str, str | None]:
    """Return the yield, and the days of the dividend declared last, which may be still to come."""
    if not statement.dividend:
        return {}
    ordinal = _ordinal(day)
    declared = ordinal - (ordinal + company.key) % _DIVIDEND_PERIOD
    ex_dividend = declared + 20
    price = chart.price(_DIVIDEND_YIELD.age(company.key, day))
    return {
        "DividendYield": _plain(statement.dividend / price, 4),
        "DividendDate": _on_weekday(ex_dividend + 18).isoformat(),
        "ExDividendDate": _on_weekday(ex_dividend).isoformat(),
    }


# Spelling


def _plain(value: float, places: int) -> str:
    """Return the number as the API spells it: no exponent, no negative zero, no needless zeros. At most 12 digits."""
    return repr(round(value, places) + 0.0).removesuffix(".0")


def _thousands(value: float) -> str:
    return str(round(value / 1000) * 1000)


# The API's symbols


_STOCKS = 632
_FUNDS = 8
_NOT_COVERED = 5
_FAMOUS = frozenset({"AAPL", "GOOG", "TSLA", "MSFT", "PEP", "IBM", "NVDA", "AMZN", "META", "KO"})
_OTHERS_NOT_COVERED = 0.04
_ALWAYS = (Symbol("QUVEX"), Symbol("QUVEX-B"), _OUTSIDE_ASCII, Symbol("ZORVA-U"), Symbol("TIMEK-U"))
_SHAPES = (
    ("BDFGKLMNPRTVZ", "AEIOU", "BDGKLMNPRTVZ", "AEIOU", "KLMNT"),
    ("AEIOU", "BDGKLMNPRTVZ", "AEIOU", "LNR", "KT"),
)
"""Symbols that can be spoken. Of five letters: the exchanges end those in others, for what is no common stock."""
_ZEROS = dict.fromkeys(
    (
        *("RevenuePerShareTTM", "ProfitMargin", "OperatingMarginTTM", "ReturnOnAssetsTTM", "ReturnOnEquityTTM"),
        *("RevenueTTM", "GrossProfitTTM", "DilutedEPSTTM", "QuarterlyEarningsGrowthYOY", "QuarterlyRevenueGrowthYOY"),
        *("52WeekHigh", "52WeekLow", "50DayMovingAverage", "200DayMovingAverage", "SharesOutstanding"),
    ),
    "0",
)
"""What the API has for a unit or a warrant, where it does not say that it has nothing."""


def _symbols(seed: int) -> tuple[list[Symbol], list[Symbol]]:
    """Return the symbols of the seed's stocks and of its funds."""
    random = _random(seed, "symbols")
    symbols = dict.fromkeys(_ALWAYS)
    while len(symbols) < _STOCKS + _FUNDS:
        shape = random.choice(_SHAPES)
        symbols[Symbol("".join(random.choice(letters) for letters in shape))] = None
    return list(symbols)[:_STOCKS], list(symbols)[_STOCKS:]


def _hyphenated(symbol: Symbol) -> Symbol:
    """Return BRK-B for BRK.B, and any other symbol as it is."""
    family, dot, share = symbol.rpartition(".")
    return Symbol(f"{family}-{share}") if dot and len(share) == 1 and share.isalpha() else symbol


def _whole(*parts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the document: every field of the catalogue in the API's order, its own word where there is no value."""
    whole = dict(_MISSING)
    for part in parts:
        whole.update((name, value or _MISSING[name]) for name, value in part.items())
    return whole


class Companies:
    """The companies that one seed invents: those it lists, and one for nearly any other symbol.

    Other symbols have companies so that users can try their own lists. Never are those the real companies.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        stocks, funds = _symbols(seed)
        self.symbols: tuple[Symbol, ...] = (*stocks, *funds)
        self._listed = frozenset(self.symbols)
        self._funds = frozenset(funds)
        self._not_covered = self._funds | frozenset(stocks[-_NOT_COVERED:])
        self._covered = lru_cache(_REMEMBERED)(self._covers)
        self._company = lru_cache(_REMEMBERED)(self._invented)
        self._prices = lru_cache(2 * _REMEMBERED)(self._drawn)
        self._statement = lru_cache(_REMEMBERED)(self._reported)

    def document(self, symbol: Symbol, day: date) -> dict[str, str] | None:
        """Return the overview of the symbol on that day, None if it is not covered.

        A class share with a dot is answered with a hyphen.
        """
        symbol = _hyphenated(symbol)
        if not self._covered(symbol):
            return None
        company = self._company(symbol)
        if symbol.endswith(_HOLLOW):
            return _whole(company.profile, _ZEROS, {"Name": symbol, "OfficialSite": None, "FiscalYearEnd": None})
        return _whole(company.profile, *self._moving(symbol, company, _trading_day(day)))

    def listing(self, day: date) -> str:
        """Return the LISTING_STATUS of that day, as csv: what was on an exchange by then, covered or not."""
        lines = io.StringIO()
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status"))
        for symbol in sorted(self.symbols):
            company = self._company(symbol)
            if company.ipo <= day:
                kind = self._kind(symbol, company)
                table.writerow((symbol, *kind, company.ipo.isoformat(), "null", "Active"))
        return lines.getvalue()

    def _kind(self, symbol: Symbol, company: _Company) -> tuple[str, str, str]:
        """Return what the listing says of a symbol: name, exchange and asset type."""
        if symbol in self._funds:
            return f"{symbol} INDEX FUND ETF", "NYSE ARCA", "ETF"
        return company.profile["Name"], company.profile["Exchange"], "Stock"

    def _covers(self, symbol: Symbol) -> bool:
        if symbol in self._listed or symbol in _FAMOUS:
            return symbol not in self._not_covered
        return "." not in symbol and _random(self._seed, symbol, "covered").random() >= _OTHERS_NOT_COVERED

    def _moving(self, symbol: Symbol, company: _Company, day: int) -> tuple[Mapping[str, str | None], ...]:
        """Return the fields that time changes: what was reported, and what follows the price."""
        ordinal = _ordinal(day)
        quarter = _latest_quarter(company, ordinal)
        statement = self._statement(symbol, quarter, _edition(company, quarter, ordinal))
        return statement.fields, _daily(company, statement, self._chart(symbol, day), day)

    def _chart(self, symbol: Symbol, day: int) -> _Chart:
        year, place = divmod(day, _TRADING_YEAR)
        this, last = self._prices(symbol, year), self._prices(symbol, year - 1)
        return _Chart((last[place + 1 :] + this[: place + 1]).tolist())

    # What the caches hold

    def _invented(self, symbol: Symbol) -> _Company:
        return _invent(self._seed, symbol, listed=symbol in self._listed)

    def _drawn(self, symbol: Symbol, year: int) -> "array[int]":
        return _prices(self._company(symbol), year)

    def _reported(self, symbol: Symbol, quarter: int, edition: int) -> _Statement:
        return _statement(self._company(symbol), quarter, edition)

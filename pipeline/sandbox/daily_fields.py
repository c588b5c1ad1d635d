"""Daily fields: what may change on any trading day, such as ratios, averages, dividends and the analysts' opinions."""

from pipeline.sandbox.noise import Pace
from pipeline.sandbox.prices import Prices
from pipeline.sandbox.profiles import Company
from pipeline.sandbox.spelling import spell_number
from pipeline.sandbox.statements import Statement
from pipeline.sandbox.trading_days import on_weekday, ordinal_of

# As measured on the real fields, divided by the chance that a move shows in the digits that are written.
_AVERAGES = Pace(moves=780, salt=11)
_EPS = Pace(moves=560, salt=12)
_DILUTED_EPS = Pace(moves=420, salt=13)
_DIVIDEND_YIELD = Pace(moves=560, salt=14)
_TARGET_PRICE = Pace(moves=290, salt=15)
_RETURN_ON_EQUITY = Pace(moves=170, salt=16)
_PRICE_TO_SALES = Pace(moves=50, salt=17)
_PRICE_TO_BOOK = Pace(moves=50, salt=18)
_FORWARD_PE = Pace(moves=55, salt=19)
_EV_TO_REVENUE = Pace(moves=35, salt=20)
_EV_TO_EBITDA = Pace(moves=35, salt=21)
_PEG = Pace(moves=40, salt=22)
_BETA = Pace(moves=42, salt=23)
_SHARES = Pace(moves=35, salt=24)
_RATINGS = Pace(moves=12, salt=25)
_DIVIDEND_PERIOD = 91
"""Days from one declared dividend to the next."""


def daily_fields(company: Company, statement: Statement, prices: Prices, day: int) -> dict[str, str | None]:
    """Return the fields that may change on any trading day."""
    price = prices.price()
    shares = round(statement.shares * (1 - 0.002 * _SHARES.noise(company.key, day)), -3)
    earnings = _quoted_earnings(company, statement, day)
    diluted = _quoted_earnings(company, statement, day - _DILUTED_EPS.age(company.key, day))
    ratio = spell_number(price / earnings, 2) if earnings > 0 else None
    averages = _AVERAGES.age(company.key, day)
    swing = 0.98 + 0.04 * _RETURN_ON_EQUITY.noise(company.key, day)
    return {
        "MarketCapitalization": str(round(price * shares)),
        "PERatio": ratio,
        "TrailingPE": ratio,
        "EPS": spell_number(earnings, 2),
        "DilutedEPSTTM": spell_number(diluted, 2),
        "ReturnOnEquityTTM": spell_number(statement.return_on_equity * swing, 4),
        "Beta": spell_number(company.beta * (0.97 + 0.06 * _BETA.noise(company.key, day)), 3),
        "52WeekHigh": spell_number(prices.high(), 2),
        "52WeekLow": spell_number(prices.low(), 2),
        "50DayMovingAverage": spell_number(prices.average(50, averages), 2),
        "200DayMovingAverage": spell_number(prices.average(200, averages), 2),
        "SharesOutstanding": str(int(shares)),
        **_ratios(company, statement, prices, day),
        **_analysts(company, prices, day),
        **_dividends(company, statement, prices, day),
    }


def _quoted_earnings(company: Company, statement: Statement, day: int) -> float:
    """Return the API's earnings per share of the day: it recomputes them every other day, a little off."""
    spread = max(0.01, abs(statement.earnings) / 100)
    return round(statement.earnings + (int(_EPS.noise(company.key, day) * 5) - 2) * spread, 2)


def _ratios(company: Company, statement: Statement, prices: Prices, day: int) -> dict[str, str | None]:
    """Return the ratios that the API recomputes only now and then, from that day's price."""

    def price(pace: Pace) -> float:
        return prices.price(pace.age(company.key, day))

    enterprise = (1 + company.debt) * statement.shares
    ebitda, forward = statement.ebitda, statement.earnings * company.forecast
    growth = company.peg * (0.9 + 0.2 * _PEG.noise(company.key, day))
    return {
        "PEGRatio": spell_number(growth, 3) if growth else None,
        "ForwardPE": spell_number(price(_FORWARD_PE) / forward, 2) if forward > 0 else None,
        "PriceToSalesRatioTTM": spell_number(price(_PRICE_TO_SALES) / statement.revenue_per_share, 3),
        "PriceToBookRatio": spell_number(price(_PRICE_TO_BOOK) / statement.equity, 3),
        "EVToRevenue": spell_number(price(_EV_TO_REVENUE) * enterprise / statement.revenue, 3),
        "EVToEBITDA": spell_number(price(_EV_TO_EBITDA) * enterprise / ebitda, 2) if ebitda and ebitda > 0 else None,
    }


def _analysts(company: Company, prices: Prices, day: int) -> dict[str, str | None]:
    if not company.target:
        return {}
    opinion = company.target * (0.99 + 0.02 * _TARGET_PRICE.noise(company.key, day))
    views = int(_RATINGS.noise(company.key, day) * 2**40)
    return {
        "AnalystTargetPrice": spell_number(prices.price(_TARGET_PRICE.age(company.key, day)) * opinion, 2),
        "AnalystRatingStrongBuy": str(views % 9),
        "AnalystRatingBuy": str(views % 14),
        "AnalystRatingHold": str(views % 11),
        "AnalystRatingSell": str(views % 4),
        "AnalystRatingStrongSell": str(views % 3),
    }


def _dividends(company: Company, statement: Statement, prices: Prices, day: int) -> dict[str, str | None]:
    """Return the yield, and the dates of the last declared dividend, which may be in the future."""
    if not statement.dividend:
        return {}
    ordinal = ordinal_of(day)
    declared = ordinal - (ordinal + company.key) % _DIVIDEND_PERIOD
    ex_dividend = declared + 20
    price = prices.price(_DIVIDEND_YIELD.age(company.key, day))
    return {
        "DividendYield": spell_number(statement.dividend / price, 4),
        "DividendDate": on_weekday(ex_dividend + 18).isoformat(),
        "ExDividendDate": on_weekday(ex_dividend).isoformat(),
    }

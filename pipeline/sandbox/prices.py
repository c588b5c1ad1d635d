"""Prices: a company's price on every trading day, and what follows from those of a year."""

import math
from array import array
from dataclasses import dataclass
from itertools import accumulate

from pipeline.sandbox.noise import noise, seeded_random
from pipeline.sandbox.profiles import Company, prosperity
from pipeline.sandbox.trading_days import TRADING_DAYS_A_YEAR, TRADING_YEAR

_STILL = 0.1
"""The share of days on which the API has no new price."""


def draw_prices(company: Company, year: int) -> "array[int]":
    """Return the prices of a year of trading days, in cents: a random walk from one pinned price to the next."""
    draw = seeded_random(company.key, year).random
    moves = [(draw() + draw() - 1) * company.volatility if draw() > _STILL else 0.0 for _ in range(TRADING_YEAR)]
    start, end = _pinned(company, year), _pinned(company, year + 1)
    # fsum, since sum adds otherwise from one version of Python to the next
    correction = (end - start - math.fsum(moves)) / sum(map(bool, moves))
    walk = accumulate((move and move + correction for move in moves), initial=start)
    next(walk)
    return array("i", (int(math.exp(height)) or 1 for height in walk))


def _pinned(company: Company, year: int) -> float:
    """Return the logarithm of the price in cents on the eve of a year of trading days."""
    level = prosperity(company.key, year * TRADING_YEAR / TRADING_DAYS_A_YEAR)
    return math.log(company.price * 100) + level + 0.1 * (2 * noise(company.key, year) - 1)


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of the last 52 weeks, in cents, the newest last. Its methods return USD."""

    cents: list[int]

    def price(self, age: int = 0) -> float:
        """Return the price `age` trading days ago."""
        return self.cents[-1 - age] / 100

    def average(self, days: int, age: int) -> float:
        """Return the mean price of `days` trading days, the last of them `age` trading days ago."""
        end = len(self.cents) - age
        return sum(self.cents[end - days : end]) / days / 100

    def high(self) -> float:
        return max(self.cents) / 100

    def low(self) -> float:
        return min(self.cents) / 100

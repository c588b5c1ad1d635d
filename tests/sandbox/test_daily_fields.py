"""Daily fields: they move as often as the real ones, and agree with one another."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given

from pipeline.model.fields import CATALOGUE, FIELDS
from pipeline.model.symbols import Symbol
from tests.support.companies import COMPANIES, any_day, any_symbol, year


def test_fields_move_as_often_as_the_real_ones() -> None:
    moved: Counter[str] = Counter()
    had: Counter[str] = Counter()
    for snapshots in year().values():
        for (_, before), (_, after) in pairwise(snapshots):
            if before != after:
                had.update(name for name in after if after[name] not in ("None", "-"))
                moved.update(name for name in after if after[name] != before[name])
    often = {name: moved[name] / had[name] for name in had}

    for name, measured in {
        "MarketCapitalization": 0.87,
        "PERatio": 0.88,
        "TrailingPE": 0.81,
        "50DayMovingAverage": 0.70,
        "200DayMovingAverage": 0.69,
        "DividendYield": 0.47,
        "EPS": 0.44,
        "DilutedEPSTTM": 0.33,
        "AnalystTargetPrice": 0.28,
        "ReturnOnEquityTTM": 0.17,
    }.items():
        assert measured * 0.8 < often[name] < measured * 1.25, name
    for name, measured in {
        "52WeekHigh": 0.09,
        "52WeekLow": 0.06,
        "PriceToSalesRatioTTM": 0.06,
        "PriceToBookRatio": 0.06,
        "ForwardPE": 0.06,
        "EVToRevenue": 0.04,
        "EVToEBITDA": 0.04,
        "SharesOutstanding": 0.04,
        "PEGRatio": 0.04,
        "Beta": 0.04,
    }.items():
        assert measured * 0.4 < often[name] < measured * 1.6, name
    for name in ("BookValue", "ProfitMargin", "RevenueTTM", "LatestQuarter", "DividendPerShare", "ExDividendDate"):
        assert 0.005 < often[name] < 0.03, name
    for field in CATALOGUE:
        if field.unit == "":
            assert moved[field.name] == 0


def test_nothing_moves_on_a_weekend() -> None:
    friday = date(2026, 5, 8)
    for symbol in COMPANIES.symbols:
        assert len({str(COMPANIES.document(symbol, friday + timedelta(days))) for days in range(3)}) == 1


@given(any_symbol, any_day)
def test_the_figures_agree_with_one_another(symbol: Symbol, day: date) -> None:
    received = COMPANIES.document(symbol, day)
    if received is None or received["LatestQuarter"] == "None":
        return
    figures = {
        name: float(value)
        for name, value in received.items()
        if FIELDS[name].unit and value[-1:].isdigit() and FIELDS[name].unit != "date"
    }

    price = figures["MarketCapitalization"] / figures["SharesOutstanding"]
    assert figures["52WeekLow"] - 0.005 <= price <= figures["52WeekHigh"] + 0.005
    for average in ("50DayMovingAverage", "200DayMovingAverage"):
        assert figures["52WeekLow"] <= figures[average] <= figures["52WeekHigh"]
    assert received["PERatio"].replace("None", "-") == received["TrailingPE"]
    assert ("PERatio" in figures) == (figures["EPS"] > 0)
    if "PERatio" in figures:
        assert figures["PERatio"] == pytest.approx(price / figures["EPS"], rel=1e-3, abs=0.006)
    assert -1 <= figures["ProfitMargin"] <= 1
    assert -1 <= figures["OperatingMarginTTM"] <= 1
    assert (figures["EPS"] > 0) == (figures["ProfitMargin"] > 0) or abs(figures["EPS"]) < 0.1
    assert figures["SharesFloat"] <= figures["SharesOutstanding"]
    assert figures["GrossProfitTTM"] <= figures["RevenueTTM"]
    assert (received["DividendYield"] == "None") == (received["DividendDate"] == "None")
    assert received["ExDividendDate"] <= received["DividendDate"]
    assert received["LatestQuarter"] < day.isoformat()

"""Companies of the sandbox, and a year of their overviews."""

from datetime import date, timedelta
from functools import cache

from hypothesis import strategies as st

from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.sandbox.companies import Companies

COMPANIES = Companies()
MONDAY = date(2026, 5, 4)

Year = dict[Symbol, list[tuple[date, dict[str, str]]]]

any_symbol = st.one_of(
    st.sampled_from(COMPANIES.symbols),
    st.from_regex(r"[A-Z]{1,5}(-[A-Z]{1,2})?", fullmatch=True).map(parse_symbol),
)
any_day = st.dates(date(1990, 1, 1), date(2099, 12, 31))


def overview(symbol: Symbol, day: date, companies: Companies = COMPANIES) -> dict[str, str]:
    """Return the overview of a symbol that is covered."""
    found = companies.document(symbol, day)
    assert found is not None
    return found


def is_covered(symbol: Symbol, companies: Companies = COMPANIES) -> bool:
    return companies.document(symbol, MONDAY) is not None


@cache
def year() -> Year:
    """Return every weekday of a year of thirty companies with figures: 261 snapshots each."""
    symbols = [symbol for symbol in COMPANIES.symbols if is_covered(symbol)][5:35]
    days = [date(2025, 5, 5) + timedelta(days) for days in range(365)]
    weekdays = [day for day in days if day.weekday() < 5]
    return {symbol: [(day, overview(symbol, day)) for day in weekdays] for symbol in symbols}

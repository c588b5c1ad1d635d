"""Suspicions: jumps that the market cannot explain. They are pointed out where they are seen, and never altered.

What the API sends is kept as it came, mistakes included: to know what was known is to know those too.
"""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from enum import StrEnum
from typing import NamedTuple

from pipeline.model.values import Value


class Suspicion(StrEnum):
    """What is odd about a change."""

    UNEXPLAINED_JUMP = "unexplained_jump"
    COLLAPSED = "collapsed"
    QUARTER_WENT_BACK = "quarter_went_back"
    ANOTHER_COMPANY = "another_company"


JUMP = 1.8
"""A market value this many times the one before, or this part of it ..."""
STILL = 0.1
"""... while shares and both moving averages moved by less than this fraction. A split that the API has half applied
looks like that: one doubled market value stood for five days in the recordings."""
ALIKE = 0.5
"""Names less alike than this (difflib's ratio, which is 1 for the same) are another company's."""

NEVER_ZERO = frozenset(
    {
        "market_capitalization", "shares_outstanding", "revenue_ttm", "week_52_high", "week_52_low",
        "day_50_moving_average", "day_200_moving_average",
    }
)  # fmt: skip
"""Columns in which 0 after another value is a gap. (A dividend or a margin may well become 0.)"""

RULES: dict[Suspicion, str] = {
    Suspicion.UNEXPLAINED_JUMP: (
        f"the market value is at least {JUMP:g} times the last one, or that part of it, while shares outstanding and"
        f" the moving averages moved by less than {STILL:.0%}"
    ),
    Suspicion.COLLAPSED: (
        "market value, shares outstanding, revenue, a moving average or a 52-week price fell to 0, or the return on"
        " equity to the API's sentinel, -99999.99"
    ),
    Suspicion.QUARTER_WENT_BACK: "the latest quarter is earlier than the last one",
    Suspicion.ANOTHER_COMPANY: (
        f"the CIK is another, as when a symbol is given anew; where one is missing, the name is less than {ALIKE:.0%}"
        " alike (with the same CIK, another name is the same company's)"
    ),
}
"""Each rule in words, for people."""

COLUMNS_LOOKED_AT = NEVER_ZERO | {"latest_quarter", "cik", "name", "return_on_equity_ttm"}
SENTINEL = "-99999.99"


class Found(NamedTuple):
    """A suspicion, and the column in which it shows."""

    column: str
    suspicion: Suspicion


def suspicions(before: Mapping[str, Value], after: Mapping[str, Value], *, is_sentinel: bool) -> Iterator[Found]:
    """Yield what is odd in going from one snapshot to the next, each given by column.

    `is_sentinel`: the return on equity is the sentinel now.
    """
    if _jumps(before, after):
        yield Found("market_capitalization", Suspicion.UNEXPLAINED_JUMP)
    for column in sorted(NEVER_ZERO):
        if before[column] and after[column] == 0:
            yield Found(column, Suspicion.COLLAPSED)
    if is_sentinel and before["return_on_equity_ttm"] is not None:
        yield Found("return_on_equity_ttm", Suspicion.COLLAPSED)
    if _text(after["latest_quarter"]) < _text(before["latest_quarter"]) and after["latest_quarter"] is not None:
        yield Found("latest_quarter", Suspicion.QUARTER_WENT_BACK)
    if before["cik"] and after["cik"]:
        if _cik(before["cik"]) != _cik(after["cik"]):
            yield Found("cik", Suspicion.ANOTHER_COMPANY)
    elif _is_another_name(before["name"], after["name"]):
        yield Found("name", Suspicion.ANOTHER_COMPANY)


def _jumps(before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    value = _ratio(before["market_capitalization"], after["market_capitalization"])
    if value is None or 1 / JUMP < value < JUMP:
        return False
    others = [
        _ratio(before[column], after[column])
        for column in ("shares_outstanding", "day_50_moving_average", "day_200_moving_average")
    ]
    return all(ratio is not None and abs(ratio - 1) < STILL for ratio in others)


def _ratio(before: Value, after: Value) -> float | None:
    if isinstance(before, str) or isinstance(after, str) or not before or not after:
        return None
    return after / before


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _cik(value: Value) -> str:
    return str(value).lstrip("0")


def _is_another_name(before: Value, after: Value) -> bool:
    if not isinstance(before, str) or not isinstance(after, str) or before == after:
        return False
    return SequenceMatcher(None, before.casefold(), after.casefold(), autojunk=False).ratio() < ALIKE

"""Anomalies: what is probably a mistake of the API, or of an archive's date, with the rule for each.

They are reported and never corrected: the file keeps what the API sent, mistakes included.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import SequenceMatcher
from enum import StrEnum
from typing import NamedTuple

from pipeline.instants import date_from_text
from pipeline.model.values import SENTINEL, Value


class Anomaly(StrEnum):
    """What is suspicious about a change."""

    UNEXPLAINED_JUMP = "unexplained_jump"
    COLLAPSED = "collapsed"
    QUARTER_WENT_BACK = "quarter_went_back"
    QUARTER_NOT_OVER = "quarter_not_over"
    ANOTHER_COMPANY = "another_company"


JUMP_FACTOR = 1.8
"""A market value at least this many times the previous one, or at most its reciprocal, is a jump ..."""
STEADY_FRACTION = 0.1
"""... that nothing explains where shares and both moving averages moved by less than this fraction. A split that the
API has applied to some fields only looks like that: in the recordings one doubled market value stood for five days."""
SIMILAR_NAME = 0.5
"""Names below this similarity (difflib's ratio, 1 for equal names) belong to different companies."""

QUARTER_TOLERANCE = timedelta(days=2)
"""A quarter that ends this soon after the observation, by dates in UTC, may be over: where the document was written it
is another day, and a recorder may write local time as UTC. The API moves `LatestQuarter` after the report: in the
recordings 14 days after the quarter's end at the earliest."""

NEVER_ZERO = frozenset(
    {
        "market_capitalization", "shares_outstanding", "revenue_ttm", "week_52_high", "week_52_low",
        "day_50_moving_average", "day_200_moving_average",
    }
)  # fmt: skip
"""Columns in which 0 after another value is an error. (A dividend or a margin may well become 0.)"""

RULES: dict[Anomaly, str] = {
    Anomaly.UNEXPLAINED_JUMP: (
        f"market value changed by a factor of {JUMP_FACTOR:g} or more, up or down, while shares outstanding and the"
        f" moving averages changed by less than {STEADY_FRACTION:.0%}"
    ),
    Anomaly.COLLAPSED: (
        "market value, shares outstanding, revenue, a moving average or a 52-week price fell to 0, or return on equity"
        f" to the API's sentinel, {SENTINEL}"
    ),
    Anomaly.QUARTER_WENT_BACK: "the latest quarter is earlier than the previous one",
    Anomaly.QUARTER_NOT_OVER: (
        f"the latest quarter ends more than {QUARTER_TOLERANCE.days} days after the observation, as when a document is"
        " filed under an earlier date; also in a first snapshot"
    ),
    Anomaly.ANOTHER_COMPANY: (
        "the CIK changed, as when a symbol is reassigned; or, where a CIK is missing, the name is less than"
        f" {SIMILAR_NAME:.0%} similar (with the same CIK, a new name is the same company's)"
    ),
}
"""Each rule in words, for people."""

CHECKED_COLUMNS = NEVER_ZERO | {"latest_quarter", "cik", "name", "return_on_equity_ttm"}
"""The columns that the rules need."""


class ColumnAnomaly(NamedTuple):
    """An anomaly, and the column in which it shows."""

    column: str
    anomaly: Anomaly


def find_anomalies(
    before: Mapping[str, Value], after: Mapping[str, Value], *, observed_at: str, is_sentinel: bool
) -> Iterator[ColumnAnomaly]:
    """Yield the anomalies between two snapshots, each given by column (CHECKED_COLUMNS at least).

    Of the later one, `observed_at` is when it was first observed, as stored, and `is_sentinel`, whether its return on
    equity is the sentinel.
    """
    if _jumps(before, after):
        yield ColumnAnomaly("market_capitalization", Anomaly.UNEXPLAINED_JUMP)
    for column in sorted(NEVER_ZERO):
        if before[column] and after[column] == 0:
            yield ColumnAnomaly(column, Anomaly.COLLAPSED)
    if is_sentinel and before["return_on_equity_ttm"] is not None:
        yield ColumnAnomaly("return_on_equity_ttm", Anomaly.COLLAPSED)
    if _text(after["latest_quarter"]) < _text(before["latest_quarter"]) and after["latest_quarter"] is not None:
        yield ColumnAnomaly("latest_quarter", Anomaly.QUARTER_WENT_BACK)
    if before["latest_quarter"] != after["latest_quarter"] and not quarter_is_over(
        after["latest_quarter"], observed_at
    ):
        yield ColumnAnomaly("latest_quarter", Anomaly.QUARTER_NOT_OVER)
    if (contradicting := another_company(before, after)) is not None:
        yield ColumnAnomaly(contradicting, Anomaly.ANOTHER_COMPANY)


def another_company(before: Mapping[str, Value], after: Mapping[str, Value]) -> str | None:
    """Return the column, cik or name, that shows that two snapshots are of different companies; None if none does."""
    if before["cik"] and after["cik"]:
        return "cik" if _cik(before["cik"]) != _cik(after["cik"]) else None
    return "name" if _is_another_name(before["name"], after["name"]) else None


def quarter_is_over(latest_quarter: Value, observed_at: str) -> bool:
    """Return whether a quarter, by its last day, can have been over at an instant, both as stored; if None, it can."""
    if not isinstance(latest_quarter, str) or latest_quarter <= observed_at[:10]:
        return True
    ahead = date_from_text(latest_quarter) - date_from_text(observed_at[:10])
    return ahead <= QUARTER_TOLERANCE


def _jumps(before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    value = _ratio(before["market_capitalization"], after["market_capitalization"])
    if value is None or 1 / JUMP_FACTOR < value < JUMP_FACTOR:
        return False
    others = [
        _ratio(before[column], after[column])
        for column in ("shares_outstanding", "day_50_moving_average", "day_200_moving_average")
    ]
    return all(ratio is not None and abs(ratio - 1) < STEADY_FRACTION for ratio in others)


def _ratio(before: Value, after: Value) -> float | None:
    if isinstance(before, str) or isinstance(after, str) or not before or not after:
        return None
    return after / before


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _cik(value: Value) -> str:
    return str(value).lstrip("0")


_LONGEST_NAME = 200
"""Characters of a name that are compared: comparing takes time in proportion to the square, or worse."""


def _is_another_name(before: Value, after: Value) -> bool:
    if not isinstance(before, str) or not isinstance(after, str) or before == after:
        return False
    one, other = (name[:_LONGEST_NAME].casefold() for name in (before, after))
    return SequenceMatcher(None, one, other, autojunk=False).ratio() < SIMILAR_NAME

"""Moves: what differs between two instants, and what of that is a restatement."""

from typing import Any

from pipeline.pages.moves import FIELDS, moves

MORNING, EVENING = "2026-03-14T08:00:00.000Z", "2026-03-14T20:00:00.000Z"


def _row(symbol: str, observed_at: str = MORNING, **values: Any) -> tuple[Any, ...]:
    return (symbol, observed_at, observed_at, 0.0, *(values.get(field.column) for field in FIELDS))


def test_the_largest_moves_come_first_in_either_direction() -> None:
    earlier = [_row(symbol, market_capitalization=100) for symbol in "ABC"]
    later = [
        _row(symbol, EVENING, market_capitalization=value) for symbol, value in zip("ABC", (101, 70, 110), strict=True)
    ]
    assert [(one.symbol, one.change) for one in moves(earlier, later).largest] == [("B", -0.3), ("C", 0.1), ("A", 0.01)]


def test_who_came_or_did_not_change_does_not_move() -> None:
    found = moves(
        [_row("A", market_capitalization=1), _row("B", market_capitalization=1)],
        [_row("A", market_capitalization=1), _row("B", EVENING, market_capitalization=1), _row("C", EVENING)],
    )
    assert (found.companies, found.added, found.changed, found.largest) == (3, 1, 1, [])


def test_another_value_for_the_same_quarter_is_a_restatement_and_nothing_else_is() -> None:
    q4, q1 = "2025-12-31", "2026-03-31"
    earlier = [
        _row("SAME", latest_quarter=q4, ebitda=5, revenue_ttm=9),
        _row("NEXT", latest_quarter=q4, ebitda=5),
        _row("CAME", latest_quarter=q4),
        _row("WENT", latest_quarter=q4, ebitda=5),
        _row("NONE", ebitda=5),
    ]
    later = [
        _row("SAME", EVENING, latest_quarter=q4, ebitda=4, revenue_ttm=9),
        _row("NEXT", EVENING, latest_quarter=q1, ebitda=4),
        _row("CAME", EVENING, latest_quarter=q4, ebitda=4),
        _row("WENT", EVENING, latest_quarter=q4),
        _row("NONE", EVENING, ebitda=4),
    ]
    found = moves(earlier, later)
    (one,) = found.restated
    assert (one.symbol, one.field.column, one.quarter, one.before, one.after, one.change) == (
        "SAME", "ebitda", q4, 5, 4, -0.2
    )  # fmt: skip
    assert found.restatements == 1


def test_a_symbol_after_the_fields_is_not_compared() -> None:
    earlier, later = _row("META", latest_quarter="2025-12-31"), _row("META", EVENING, latest_quarter="2025-12-31")
    assert moves([(*earlier, "FB")], [(*later, "META")]).restatements == 0

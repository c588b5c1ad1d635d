"""Freshness: what is due, stalest first; what is fresh, or not covered, is left alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.due import NEVER, Selection, select_all, select_due
from pipeline.model.symbols import Symbol, SymbolFreshness

NOW = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)
SINCE = NOW - timedelta(hours=20)
AAPL, GOOG, MSFT, PEP = (Symbol(name) for name in ("AAPL", "GOOG", "MSFT", "PEP"))


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def looked(symbol: Symbol, hours: float) -> SymbolFreshness:
    return SymbolFreshness(symbol, hours_ago(hours), hours_ago(hours), None)


def due(symbols: Sequence[Symbol], known: Sequence[SymbolFreshness]) -> Selection:
    return select_due(symbols, known, observed_since=SINCE, now=NOW)


def test_a_symbol_that_was_never_asked_is_due() -> None:
    assert due([AAPL], []) == Selection([AAPL], fresh=0, waiting=0)


def test_a_symbol_looked_at_since_is_fresh() -> None:
    assert due([AAPL], [looked(AAPL, 19)]) == Selection([], fresh=1, waiting=0)


def test_a_symbol_looked_at_just_then_is_due() -> None:
    assert due([AAPL], [looked(AAPL, 20)]).due == [AAPL]


def test_the_stalest_comes_first_and_what_was_never_asked_before_it() -> None:
    assert due([AAPL, GOOG, MSFT], [looked(AAPL, 30), looked(GOOG, 40)]).due == [MSFT, GOOG, AAPL]


def test_among_equals_the_order_is_that_of_the_configuration() -> None:
    assert due([MSFT, AAPL, GOOG], [looked(AAPL, 30), looked(GOOG, 30), looked(MSFT, 30)]).due == [MSFT, AAPL, GOOG]


def test_what_failed_takes_its_turn_as_of_its_last_try() -> None:
    """Else a few that always fail would be first in line for ever."""
    failing = SymbolFreshness(AAPL, hours_ago(500), hours_ago(1), None)

    assert due([AAPL, GOOG], [failing, looked(GOOG, 30)]).due == [GOOG, AAPL]


def test_what_only_failed_so_far_is_due_after_what_was_never_tried() -> None:
    assert due([AAPL, GOOG], [SymbolFreshness(AAPL, None, hours_ago(1), None)]).due == [GOOG, AAPL]


def test_what_the_api_does_not_cover_waits_for_its_next_try() -> None:
    unknown = SymbolFreshness(AAPL, hours_ago(30), hours_ago(30), hours_ago(-1))

    assert due([AAPL], [unknown]) == Selection([], fresh=0, waiting=1)


def test_what_the_api_does_not_cover_is_due_once_its_next_try_has_come() -> None:
    assert due([AAPL], [SymbolFreshness(AAPL, hours_ago(30), hours_ago(30), NOW)]).due == [AAPL]


def test_a_look_in_the_future_makes_nothing_fresh() -> None:
    """The clock was wrong then, or is now: asking once too often is the lesser harm."""
    assert due([AAPL], [looked(AAPL, -1)]).due == [AAPL]


def test_what_is_no_longer_configured_is_left_out() -> None:
    assert due([AAPL], [looked(GOOG, 30), looked(MSFT, 1)]) == Selection([AAPL], fresh=0, waiting=0)


def test_everything_is_everything_stalest_first() -> None:
    unknown = SymbolFreshness(PEP, hours_ago(2), hours_ago(2), hours_ago(-100))

    todo = select_all([AAPL, GOOG, MSFT, PEP], [looked(AAPL, 1), looked(GOOG, 40), unknown])

    assert todo == Selection([MSFT, GOOG, PEP, AAPL], fresh=0, waiting=0)


NAMES = [Symbol(name) for name in "ABCDEFGH"]
INSTANTS = st.none() | st.floats(-50, 500).map(hours_ago)
KNOWN = st.lists(
    st.builds(SymbolFreshness, st.sampled_from(NAMES), INSTANTS, INSTANTS, INSTANTS), unique_by=lambda one: one.symbol
)
SYMBOLS = st.lists(st.sampled_from(NAMES), unique=True)


@given(symbols=SYMBOLS, known=KNOWN)
def test_every_symbol_is_either_due_once_or_fresh_or_waiting(
    symbols: list[Symbol], known: list[SymbolFreshness]
) -> None:
    todo = due(symbols, known)

    assert len(todo.due) + todo.fresh + todo.waiting == len(symbols)
    assert len(set(todo.due)) == len(todo.due)
    assert set(todo.due) <= set(symbols)


@given(symbols=SYMBOLS, known=KNOWN)
def test_nobody_is_asked_before_one_who_has_waited_longer(symbols: list[Symbol], known: list[SymbolFreshness]) -> None:
    asked = {one.symbol: max(one.last_observed_at or NEVER, one.last_tried_at or NEVER) for one in known}

    turns = [asked.get(symbol, NEVER) for symbol in due(symbols, known).due]

    assert turns == sorted(turns)


@given(symbols=SYMBOLS, known=KNOWN)
def test_what_is_due_is_so_whichever_order_it_is_known_in(symbols: list[Symbol], known: list[SymbolFreshness]) -> None:
    assert due(symbols, known) == due(symbols, list(reversed(known)))


@given(symbols=SYMBOLS, known=KNOWN)
def test_everything_has_the_same_order_as_what_is_due(symbols: list[Symbol], known: list[SymbolFreshness]) -> None:
    asked = due(symbols, known).due

    assert [symbol for symbol in select_all(symbols, known).due if symbol in asked] == asked
    assert sorted(select_all(symbols, known).due) == sorted(symbols)

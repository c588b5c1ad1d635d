"""Due symbols: stalest first, without those that are fresh or not covered."""

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


def observed(symbol: Symbol, hours: float) -> SymbolFreshness:
    return SymbolFreshness(symbol, hours_ago(hours), hours_ago(hours), None)


def due(symbols: Sequence[Symbol], known: Sequence[SymbolFreshness]) -> Selection:
    return select_due(symbols, known, observed_since=SINCE, now=NOW)


def test_a_company_that_is_denied_waits_except_for_another_run_of_the_same_fire_time() -> None:
    denied = SymbolFreshness(AAPL, hours_ago(500), hours_ago(1), hours_ago(-19), is_uncovered=True)
    never_covered = SymbolFreshness(GOOG, hours_ago(1), hours_ago(1), hours_ago(-19))

    def due_for(fire_time: datetime | None) -> list[Symbol]:
        known = [denied, never_covered]
        return select_due([AAPL, GOOG], known, observed_since=SINCE, now=NOW, fire_time=fire_time).due

    assert due_for(hours_ago(1)) == [AAPL]
    assert due_for(hours_ago(0.5)) == due_for(None) == []


def test_a_symbol_whose_last_request_killed_the_process_comes_last() -> None:
    killed = [
        SymbolFreshness(AAPL, None, None, None, is_unanswered=True),
        SymbolFreshness(GOOG, hours_ago(500), hours_ago(500), None, is_unanswered=True),
    ]
    known = [*killed, observed(MSFT, 40)]

    assert due([AAPL, GOOG, MSFT, PEP], known).due == [PEP, MSFT, AAPL, GOOG]
    assert select_all([AAPL, GOOG, MSFT, PEP], known).due == [PEP, MSFT, AAPL, GOOG]


def test_a_symbol_without_a_request_is_due() -> None:
    assert due([AAPL], []) == Selection([AAPL], fresh=0, waiting=0)


def test_a_symbol_observed_since_is_fresh() -> None:
    assert due([AAPL], [observed(AAPL, 19)]) == Selection([], fresh=1, waiting=0)


def test_a_symbol_observed_at_that_very_instant_is_due() -> None:
    assert due([AAPL], [observed(AAPL, 20)]).due == [AAPL]


def test_symbols_without_a_request_come_first_and_then_the_stalest() -> None:
    assert due([AAPL, GOOG, MSFT], [observed(AAPL, 30), observed(GOOG, 40)]).due == [MSFT, GOOG, AAPL]


def test_among_equals_the_order_is_that_of_the_configuration() -> None:
    assert due([MSFT, AAPL, GOOG], [observed(AAPL, 30), observed(GOOG, 30), observed(MSFT, 30)]).due == [
        MSFT,
        AAPL,
        GOOG,
    ]


def test_a_failure_counts_like_an_observation_in_the_order() -> None:
    """Otherwise a few symbols that always fail would come first forever."""
    failing = SymbolFreshness(AAPL, hours_ago(500), hours_ago(1), None)

    assert due([AAPL, GOOG], [failing, observed(GOOG, 30)]).due == [GOOG, AAPL]


def test_a_symbol_that_only_failed_comes_after_one_without_a_request() -> None:
    assert due([AAPL, GOOG], [SymbolFreshness(AAPL, None, hours_ago(1), None)]).due == [GOOG, AAPL]


def test_a_symbol_that_is_not_covered_waits_for_its_next_try() -> None:
    unknown = SymbolFreshness(AAPL, hours_ago(30), hours_ago(30), hours_ago(-1))

    assert due([AAPL], [unknown]) == Selection([], fresh=0, waiting=1)


def test_a_symbol_that_is_not_covered_is_due_at_its_next_try() -> None:
    assert due([AAPL], [SymbolFreshness(AAPL, hours_ago(30), hours_ago(30), NOW)]).due == [AAPL]


def test_an_observation_in_the_future_makes_nothing_fresh() -> None:
    """The clock was wrong then, or is now: one request too many is the lesser harm."""
    assert due([AAPL], [observed(AAPL, -1)]).due == [AAPL]


def test_a_symbol_that_is_not_configured_is_left_out() -> None:
    assert due([AAPL], [observed(GOOG, 30), observed(MSFT, 1)]) == Selection([AAPL], fresh=0, waiting=0)


def test_all_symbols_are_selected_stalest_first() -> None:
    unknown = SymbolFreshness(PEP, hours_ago(2), hours_ago(2), hours_ago(-100))

    selection = select_all([AAPL, GOOG, MSFT, PEP], [observed(AAPL, 1), observed(GOOG, 40), unknown])

    assert selection == Selection([MSFT, GOOG, PEP, AAPL], fresh=0, waiting=0)


def test_symbols_observed_for_the_fire_time_count_as_fresh() -> None:
    selection = due([AAPL, GOOG, MSFT], [observed(MSFT, 1)])

    assert selection.without({AAPL, MSFT}) == Selection([GOOG], fresh=2, waiting=0)


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
    selection = due(symbols, known)

    assert len(selection.due) + selection.fresh + selection.waiting == len(symbols)
    assert len(set(selection.due)) == len(selection.due)
    assert set(selection.due) <= set(symbols)


@given(symbols=SYMBOLS, known=KNOWN)
def test_no_symbol_comes_before_one_that_has_waited_longer(symbols: list[Symbol], known: list[SymbolFreshness]) -> None:
    requested_at = {one.symbol: max(one.last_observed_at or NEVER, one.last_tried_at or NEVER) for one in known}

    order = [requested_at.get(symbol, NEVER) for symbol in due(symbols, known).due]

    assert order == sorted(order)


@given(symbols=SYMBOLS, known=KNOWN)
def test_the_selection_does_not_depend_on_the_order_of_the_facts(
    symbols: list[Symbol], known: list[SymbolFreshness]
) -> None:
    assert due(symbols, known) == due(symbols, list(reversed(known)))


@given(symbols=SYMBOLS, known=KNOWN)
def test_all_symbols_have_the_same_order_as_the_due_ones(symbols: list[Symbol], known: list[SymbolFreshness]) -> None:
    due_symbols = due(symbols, known).due

    assert [symbol for symbol in select_all(symbols, known).due if symbol in due_symbols] == due_symbols
    assert sorted(select_all(symbols, known).due) == sorted(symbols)

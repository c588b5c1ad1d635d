"""Renames: spans equal a simulation of who had which symbol, and cycles are found."""

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.renames import (
    EARLIEST,
    QUALIFIED,
    Rename,
    Span,
    before,
    config_line,
    find_cycle,
    possible_rename,
    spans,
    wrong_answer,
)
from pipeline.model.symbols import Symbol
from pipeline.settings.renames import read_renames

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: int) -> datetime:
    return FIRST + number * DAY


def text(number: int) -> str:
    return instants.to_text(day(number))


def rename(old: str, new: str, on: int | None = None, *, reused: bool = False) -> Rename:
    return Rename(Symbol(old), Symbol(new), None if on is None else day(on), reused)


def always(symbol: str, company: str) -> Span:
    return Span(symbol, company, EARLIEST, instants.LATEST)


def test_without_an_instant_all_of_both_symbols_is_the_company() -> None:
    assert spans([rename("FB", "META")]) == (always("FB", "META"), always("META", "META"))


def test_an_instant_cuts_both_symbols() -> None:
    assert spans([rename("FB", "META", 9)]) == (
        Span("FB", "META", EARLIEST, text(9)),
        Span("FB", "FB@2020-01-10", text(9), instants.LATEST),
        Span("META", "META@2020-01-09", EARLIEST, text(9)),
        Span("META", "META", text(9), instants.LATEST),
    )


def test_a_symbol_said_to_be_reused_names_the_company_that_has_it_now() -> None:
    assert Span("FB", "FB", text(9), instants.LATEST) in spans([rename("FB", "META", 9, reused=True)])


def test_an_instant_within_a_day_is_in_the_name_whole() -> None:
    noon = Rename(Symbol("FB"), Symbol("META"), day(9) + DAY / 2)

    companies = {span.company for span in spans([noon])}

    assert companies == {"META", "FB@2020-01-10T12:00:00.000Z", "META@2020-01-10T11:59:59.999Z"}


def test_a_symbol_given_up_and_taken_by_another_company_is_two_companies() -> None:
    """As META was: a fund's until it was renamed METV, and Facebook's half a year later."""
    found = spans([rename("META", "METV", 5), rename("FB", "META", 9)])

    assert [span for span in found if span.symbol == "META"] == [
        Span("META", "METV", EARLIEST, text(5)),
        Span("META", "META@2020-01-06", text(5), text(9)),
        Span("META", "META", text(9), instants.LATEST),
    ]


def test_two_companies_may_change_symbols_at_one_instant() -> None:
    found = spans([rename("A", "B", 5), rename("B", "C", 5)])

    assert Span("B", "C", EARLIEST, text(5)) in found
    assert Span("B", "B", text(5), instants.LATEST) in found


def test_a_chain_is_one_company_under_its_last_symbol() -> None:
    found = spans([rename("A", "B", 3), rename("B", "C", 5), rename("C", "D")])

    assert [(span.symbol, span.since, span.until) for span in found if span.company == "D"] == [
        ("A", EARLIEST, text(3)),
        ("B", text(3), text(5)),
        ("C", text(5), instants.LATEST),
        ("D", EARLIEST, instants.LATEST),
    ]


def test_two_symbols_may_become_one() -> None:
    assert spans([rename("A", "C"), rename("B", "C")]) == (always("A", "C"), always("B", "C"), always("C", "C"))
    joined = {span.symbol for span in spans([rename("A", "C", 3), rename("B", "C", 5)]) if span.company == "C"}
    assert joined == {"A", "B", "C"}


def test_the_order_of_the_renames_does_not_matter() -> None:
    renames = [rename("A", "B", 3), rename("B", "C"), rename("X", "B", 7)]

    assert spans(renames) == spans(reversed(renames))


@pytest.mark.parametrize(
    ("pairs", "cycle"),
    [
        ("AB", None),
        ("AB BC CD", None),
        ("AC BC", None),
        ("AA", "AA"),
        ("AB BA", "ABA"),
        ("XA AB BC CA", "ABCA"),
    ],
)
def test_a_cycle_is_found(pairs: str, cycle: str | None) -> None:
    found = find_cycle(rename(*pair) for pair in pairs.split())

    assert (None if found is None else "".join(found)) == cycle


@st.composite
def dated_renames(draw: st.DrawFn) -> list[Rename]:
    """Renames without a cycle: of some order of the symbols, each to a later one."""
    symbols = draw(st.permutations("ABCDE"))
    made = []
    for place, old in enumerate(symbols[:-1]):
        if draw(st.booleans()):
            new = draw(st.sampled_from(symbols[place + 1 :]))
            made.append(rename(old, new, draw(st.integers(1, 6)), reused=draw(st.booleans())))
    return made


def simulated(renames: Sequence[Rename]) -> dict[tuple[str, int], int]:
    """Return an id of the company that had each symbol on each day, by going from day to day.

    At an instant all that leave a symbol do so before any takes one.
    """
    ids = iter(range(1000))
    had = {symbol: next(ids) for symbol in "ABCDE"}
    is_known: set[str] = set()
    merged: dict[int, int] = {}
    found: dict[tuple[str, int], int] = {}
    for number in range(8):
        today = [one for one in renames if one.on == day(number)]
        leaving = {one.old: had[one.old] for one in today}
        for old in leaving:
            had[old] = next(ids)
            is_known.discard(old)
        for one in today:
            if one.new in is_known:  # it joins the company that has the symbol
                merged[leaving[one.old]] = had[one.new]
            else:
                had[one.new] = leaving[one.old]
                is_known.add(one.new)
        found |= {(symbol, number): company for symbol, company in had.items()}

    def last(company: int) -> int:
        return last(merged[company]) if company in merged else company

    return {place: last(company) for place, company in found.items()}


@given(dated_renames())
def test_spans_are_who_had_a_symbol_from_day_to_day(renames: list[Rename]) -> None:
    expected = simulated(renames)
    found: dict[tuple[str, int], str] = {}
    for symbol in "ABCDE":
        for number in range(8):
            holders = [s.company for s in spans(renames) if s.symbol == symbol and s.since <= text(number) < s.until]
            found[symbol, number] = holders[0] if holders else symbol
            assert len(holders) <= 1

    pairs = {(found[place], expected[place]) for place in expected}
    assert len(pairs) == len({name for name, _ in pairs}) == len({company for _, company in pairs})


@given(dated_renames(), st.lists(st.sampled_from("ABCDE"), max_size=2))
def test_spans_cover_each_symbols_whole_time_once(renames: list[Rename], undated: list[str]) -> None:
    mixed = [Rename(one.old, one.new) if one.old in undated else one for one in renames]
    by_symbol: dict[str, list[Span]] = {}
    for span in spans(mixed):
        by_symbol.setdefault(span.symbol, []).append(span)

    for of_symbol in by_symbol.values():
        edges = [EARLIEST, *(span.until for span in of_symbol)]
        assert [span.since for span in of_symbol] == edges[:-1]
        assert edges[-1] == instants.LATEST
    names = [span.company for span in spans(mixed) if QUALIFIED not in span.company]
    assert {name for name in names if name in by_symbol} == set(names)


def test_before_is_a_millisecond_earlier() -> None:
    assert before("2022-06-09T00:00:00.000Z") == "2022-06-08T23:59:59.999Z"


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (rename("FB", "META"), 'FB = "META"'),
        (rename("BRK.B", "BRK-B"), '"BRK.B" = "BRK-B"'),
        (rename("FB", "META", 9), 'FB = {to = "META", on = 2020-01-10}'),
        (rename("FB", "META", 9, reused=True), 'FB = {to = "META", on = 2020-01-10, reused = true}'),
        (Rename(Symbol("A"), Symbol("B"), day(9) + DAY / 2), 'A = {to = "B", on = 2020-01-10T12:00:00.000Z}'),
    ],
)
def test_the_line_of_a_rename_is_read_back(one: Rename, line: str) -> None:
    assert config_line(one) == line
    assert read_renames(tomllib.loads(line), "") == (one,)


@pytest.mark.parametrize("answered", ["META", "BRK-B", "AGZ:BAT", "M&M.BSE"])
def test_a_possible_rename_is_read_from_the_detail_of_an_outcome(answered: str) -> None:
    detail = wrong_answer(Symbol("FB"), Symbol(answered))

    assert possible_rename(Symbol("FB"), detail) == rename("FB", answered)
    assert config_line(rename("FB", answered)) in detail


@pytest.mark.parametrize("detail", ["", "HTTP 400", "overview of another symbol: 'no symbol'", "META"])
def test_any_other_detail_suggests_no_rename(detail: str) -> None:
    assert possible_rename(Symbol("FB"), detail) is None


def test_a_rename_is_suggested_by_what_older_versions_stored() -> None:
    assert possible_rename(Symbol("FB"), "overview of another symbol: 'META'") == rename("FB", "META")

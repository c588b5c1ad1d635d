"""The universe: a company was configured at an instant if any of its symbols, as they were meant then, was listed."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.renames import Rename, spans
from pipeline.model.universe import Listing, Universe
from tests.support.observations import after, text
from tests.support.renames import rename

ON = after(10)


def universe(*listings: tuple[str, float, float | None], renames: Sequence[Rename] = ()) -> Universe:
    """Return a universe of symbols that were listed from one hour to before another."""
    found = [(one, text(since), instants.LATEST if until is None else text(until)) for one, since, until in listings]
    return Universe(map(Listing._make, found), Companies(spans(renames)))


def test_a_company_is_in_it_from_its_listing_to_before_its_removal() -> None:
    found = universe(("A", 1, 3), ("B", 2, None))

    assert [found.companies_at(text(hour)) for hour in (0.9, 1, 2, 2.9, 3, 9)] == [
        set(), {"A"}, {"A", "B"}, {"A", "B"}, {"B"}, {"B"},
    ]  # fmt: skip
    assert found.began_at == text(1)
    assert universe().began_at is None


def test_two_symbols_one_after_the_other_are_one_company_without_a_gap() -> None:
    found = universe(("FB", 1, 10), ("META", 10, None), renames=[rename("FB", "META", ON)])

    assert [found.companies_at(text(hour)) for hour in (0, 1, 9.9, 10, 20)] == [set()] + 4 * [{"META"}]


def test_an_old_symbol_that_stayed_listed_means_its_company_after_the_rename_too() -> None:
    late = universe(("FB", 1, 15), ("META", 15, None), renames=[rename("FB", "META", ON)])
    reused = universe(("FB", 1, None), renames=[rename("FB", "META", ON, reused=True)])

    assert late.companies_at(text(12)) == {"META"}
    assert reused.companies_at(text(9)) == {"META"}
    assert reused.companies_at(text(12)) == {"FB"}


def test_a_new_symbol_listed_before_the_rename_means_who_had_it_then() -> None:
    found = universe(("META", 1, None), renames=[rename("FB", "META", ON)])

    (fund,) = found.companies_at(text(5))
    assert fund.startswith("META@")
    assert found.companies_at(text(10)) == {"META"}


def test_without_an_instant_either_symbol_means_the_company_at_any_time() -> None:
    found = universe(("FB", 1, 5), ("META", 8, None), renames=[rename("FB", "META")])

    assert [bool(found.companies_at(text(hour))) for hour in (0, 1, 5, 8)] == [False, True, False, True]
    assert found.has("META", text(2))


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 9), st.none() | st.integers(0, 9)), max_size=8),
    st.integers(0, 9),
)
def test_without_renames_it_is_what_was_listed(listings: list[tuple[str, int, int | None]], hour: int) -> None:
    expected = {symbol for symbol, since, until in listings if since <= hour and (until is None or hour < until)}

    assert universe(*listings).companies_at(text(hour)) == expected

"""Listings: sorted with gaps last, and complete without duplicates however they are paged."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.query.listing import Key, Order, Row, page_of

_VALUES = st.one_of(st.none(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False, width=16))
_TEXTS = st.one_of(st.none(), st.text(alphabet="aAbBß", max_size=2))


def _rows(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[Row]]:
    symbols = st.text(alphabet="ABC", min_size=1, max_size=3)
    return st.dictionaries(symbols, values, max_size=30).map(lambda found: list(found.items()))


_LISTS = st.one_of(_rows(_VALUES), _rows(_TEXTS))


@given(_LISTS, st.booleans())
def test_missing_values_come_last_in_both_directions(rows: list[Row], is_descending: bool) -> None:
    values = [value for _, value in Order(1, is_descending).sorted(rows)]
    present = [value for value in values if value is not None]
    assert values == present + [None] * (len(values) - len(present))


@given(_LISTS, st.booleans(), st.integers(1, 7))
def test_pages_are_complete_and_without_duplicates_forwards_and_backwards(
    rows: list[Row], is_descending: bool, size: int
) -> None:
    order = Order(1, is_descending)
    everything = order.sorted(rows)
    forwards: list[Row] = []
    after: Key | None = None
    while True:
        page = page_of(everything, order, after=after, before=None, size=size)
        forwards += page.rows
        after = page.after
        if after is None:
            break
        assert len(page.rows) == size
    assert forwards == everything
    backwards = list(page.rows)
    while page.before is not None:
        page = page_of(everything, order, after=None, before=page.before, size=size)
        backwards = [*page.rows, *backwards]
    assert backwards == everything


@given(_LISTS, st.booleans(), st.integers(1, 7), st.data())
def test_who_comes_and_goes_between_two_pages_moves_nobody_else(
    rows: list[Row], is_descending: bool, size: int, data: st.DataObject
) -> None:
    order = Order(1, is_descending)
    first = page_of(order.sorted(rows), order, after=None, before=None, size=size)
    if first.after is None:
        return
    gone = data.draw(st.sets(st.sampled_from([row[0] for row in rows])))
    came = [(f"{symbol}+", value) for symbol, value in data.draw(_rows(_VALUES)) if type(value) is type(rows[0][1])]
    later = order.sorted([row for row in rows if row[0] not in gone] + came)
    second = page_of(later, order, after=first.after, before=None, size=len(later) + 1)
    seen = [row[0] for row in (*first.rows, *second.rows)]
    assert len(seen) == len(set(seen))
    assert {row[0] for row in rows} - gone <= set(seen)


def test_texts_are_sorted_without_regard_to_capitals() -> None:
    rows = [("A", "zeta"), ("B", "Alpha"), ("C", "beta")]
    assert [row[0] for row in Order(1).sorted(rows)] == ["B", "C", "A"]
    assert [row[0] for row in Order(1, is_descending=True).sorted(rows)] == ["A", "C", "B"]


def test_companies_with_one_value_are_in_the_order_of_their_symbols_in_both_directions() -> None:
    rows = [("B", 1), ("A", 1), ("C", 2)]
    assert [row[0] for row in Order(1).sorted(rows)] == ["A", "B", "C"]
    assert [row[0] for row in Order(1, is_descending=True).sorted(rows)] == ["C", "A", "B"]

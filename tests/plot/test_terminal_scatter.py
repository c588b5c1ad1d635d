"""Cross-sections on a terminal: what is drawn, and that it fits."""

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.plot.terminal_scatter import terminal_scatter
from tests.support.cross_sections import CAP, PE, SECTOR, section
from tests.support.plots import HOSTILE

numbers = st.floats(-1e30, 1e30) | st.sampled_from([0.0, 1.0])


@given(
    st.lists(st.tuples(st.sampled_from(["A", "株式会社" * 9, None]), numbers), min_size=1, max_size=20),
    st.integers(1, 130),
    st.integers(1, 50),
)
def test_no_line_of_rows_is_wider_than_the_terminal(
    values: list[tuple[str | None, float]], width: int, height: int
) -> None:
    text = terminal_scatter(section(SECTOR, PE, values), width=width, height=height, color=False)
    assert max(map(cell_len, text.splitlines())) <= width


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20), st.integers(1, 130), st.integers(1, 50))
def test_no_line_between_numbers_is_wider_than_the_terminal(
    values: list[tuple[float, float]], width: int, height: int
) -> None:
    text = terminal_scatter(section(CAP, PE, values), width=width, height=height, color=False)
    assert max(map(cell_len, text.splitlines())) <= width


def test_a_row_has_its_companies_its_median_and_the_symbols_that_fit() -> None:
    values = [("FOOD", 1.0), ("FOOD", 5.0), ("FOOD", 9.0), ("TECHNOLOGY", 5.0)]
    lines = terminal_scatter(section(SECTOR, PE, values), width=80, height=24, color=False).splitlines()
    assert re.search(r"^ +FOOD \(3\)│ +•S0 +┼S1 .*•S2", "\n".join(lines), flags=re.MULTILINE)
    assert re.search(r"^TECHNOLOGY \(1\)│ +•S3", "\n".join(lines), flags=re.MULTILINE)
    assert lines[-1] == "4 companies, last seen up to 5 h before"


def test_a_median_is_drawn_and_explained_where_a_row_has_several_companies() -> None:
    one, two = (
        terminal_scatter(section(SECTOR, PE, values), width=80, height=24, color=False)
        for values in ([("A", 1.0), ("B", 5.0)], [("A", 1.0), ("A", 5.0)])
    )
    assert "median" not in one
    assert re.search(r"•S0 +│ +•S1", two)
    assert "│ median" in two


def test_the_name_of_an_axis_that_does_not_fit_ends_with_an_ellipsis() -> None:
    text = terminal_scatter(section(SECTOR, CAP, [("A", 1.0), ("A", 1e9)]), width=34, height=24, color=False)
    assert text.splitlines()[-3].endswith("logar…")


def test_many_companies_in_one_place_have_another_mark() -> None:
    one, several, many = (
        terminal_scatter(
            section(SECTOR, PE, [("A", 1.0)] * number + [("B", 9.0), ("B", 5.0)]), width=80, height=24, color=False
        )
        for number in (1, 2, 12)
    )
    assert re.search(r"A \(1\)│ +•S0", one)
    assert "●" not in several.splitlines()[1]
    assert "A (2)" in several
    assert "A (12)" in many


def test_numbers_stand_between_two_axes() -> None:
    text = terminal_scatter(section(CAP, PE, [(10**9, 10.0), (10**12, 30.0)]), width=80, height=24, color=False)
    lines = text.splitlines()
    assert lines[1] == "pe_ratio, ratio"
    assert "market_capitalization, USD, logarithmic" in text
    assert next(number for number, line in enumerate(lines) if "S1" in line) < next(
        number for number, line in enumerate(lines) if "S0" in line
    )
    assert "10B" in text


def test_without_colour_there_is_no_escape_code_whatever_the_names_are() -> None:
    made = section(SECTOR, PE, [(HOSTILE, 1.0), ("A", 2.0)], HOSTILE)
    assert all(c.isprintable() or c == "\n" for c in terminal_scatter(made, width=100, height=24, color=False))
    assert "\x1b[" in terminal_scatter(made, width=100, height=24, color=True)

"""Plots on a terminal: what is drawn, and that it fits."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.plot import labels
from pipeline.plot.series import Company, Series
from pipeline.plot.terminal import terminal
from pipeline.plot.terminal_canvas import MARKER, SHADE
from tests.support.plots import BETA, DAY, FIRST, HOSTILE, UNTIL, caps, compared, pe, plot, spell


def drawn(*series: Series, width: int = 80, height: int = 24, color: bool = False, name: str | None = "Acme") -> str:
    return terminal(plot(*series, name=name), width=width, height=height, color=color)


def dots(text: str) -> list[str]:
    """Return the rows of the panels, what stands right of the scale."""
    return [re.split("[│┤]", line, maxsplit=1)[1] for line in text.splitlines() if re.search("[│┤]", line)]


values = st.lists(
    st.none() | st.floats(-1e13, 1e13, allow_nan=False) | st.sampled_from([1e300, 5e-324, 0.0]), max_size=12
)


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 130), st.integers(1, 50), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    many: list[list[float | None]], width: int, height: int, wrong: bool
) -> None:
    text = drawn(
        *(pe(*one, suspicious=[0] if one and wrong else []) for one in many),
        width=width,
        height=height,
        name="株式会社" * 9,
    )
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_the_plot_fills_the_terminal_and_leaves_a_line_for_the_prompt(width: int, height: int, panels: int) -> None:
    shown = drawn(*[pe(1.0, 4.0, 2.0, suspicious=[1])] * panels, width=width, height=height).splitlines()
    assert height - 1 - 2 * panels <= len(shown) <= height - 1
    assert max(map(cell_len, shown)) == width


def test_without_colour_there_is_no_escape_code_and_with_it_the_same_text() -> None:
    series = (pe(1.0, 4.0, None, 2.0, suspicious=[1]), pe(None))
    plain, coloured = drawn(*series), drawn(*series, color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    unpainted = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()]
    assert unpainted == [line.rstrip() for line in plain.splitlines()]


def test_a_gap_leaves_columns_empty() -> None:
    def empty(text: str) -> int:
        rows = [row.ljust(75) for row in dots(text)]
        return sum(all(row[column] == " " for row in rows) for column in range(70))

    assert empty(drawn(pe(1.0, 2.0, 3.0, 4.0, 5.0))) == 0
    assert empty(drawn(pe(1.0, 2.0, None, 4.0, 5.0))) >= 10


def test_confirmed_values_are_solid_and_gaps_between_observations_dotted_with_a_legend() -> None:
    text = drawn(pe(1.0, 2.0))
    top, bottom = dots(text)[0], dots(text)[-1]
    assert re.fullmatch("⠉{20,}⠁?", top.strip(" ⢸⡇⢹⡏"))
    assert re.match("⣀{20,}⡀{20,}", bottom)
    assert labels.CONFIRMED in text
    assert labels.UNCONFIRMED in text
    assert labels.CONFIRMED not in drawn(pe(2.0, 2.0))


def test_a_suspicious_point_is_marked_and_explained() -> None:
    text = drawn(pe(1.0, 4.0, 2.0, suspicious=[1]))
    assert "".join(dots(text)).count(MARKER) == 1
    assert f"{MARKER} {labels.SUSPICIOUS}" in text
    assert MARKER not in drawn(pe(1.0, 4.0, 2.0))


def test_a_spell_without_coverage_is_shaded_and_explained() -> None:
    spells = (spell(FIRST + 4 * DAY, FIRST + 6 * DAY), spell(UNTIL + DAY, UNTIL + DAY))
    of = replace(plot(pe(1.0, 4.0, 2.0)), uncovered=spells)
    text = terminal(of, width=80, height=24, color=False)
    shaded = [row.count(SHADE) for row in dots(text)]
    assert sum(columns >= 5 for columns in shaded) >= len(shaded) - 1  # the line runs through one row
    assert f"{SHADE} {labels.UNCOVERED}" in text
    assert f"{labels.UNCOVERED} since 2026-11-21" in text
    assert max(map(cell_len, text.splitlines())) == 80
    assert SHADE not in drawn(pe(1.0, 4.0, 2.0))
    assert f"{labels.UNCOVERED} since" in terminal(replace(of, panels=()), width=80, height=24, color=False)


def test_one_value_or_none_is_written_and_not_drawn() -> None:
    assert drawn(pe(12.3)) == "ACME  Acme\npe_ratio, ratio: 12.3, from 2026-01-05 to 2026-01-08"
    assert drawn(pe(None, None)).endswith("no value in 2 snapshots, from 2026-01-05 to 2026-01-15")
    assert drawn(pe()).endswith("pe_ratio, ratio: nothing observed")
    beside = drawn(pe(1.0, 2.0), caps(None, None))
    assert len(dots(beside)) > 10
    assert "no value in 2 snapshots" in beside


def test_equal_values_are_one_level_line() -> None:
    rows = dots(drawn(pe(5.0, 5.0, 5.0)))
    assert [bool(row.strip()) for row in rows].count(True) == 1


def test_several_companies_are_told_apart_by_letters_and_by_colours() -> None:
    of = compared(pe(1.0, 4.0, 2.0), pe(3.0, 3.5, 3.0, company=BETA), pe(None, None, company=Company("NONE")))
    text = terminal(of, width=80, height=24, color=False)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert text.splitlines()[2].startswith("B BETA-B  Beta Société  3 → 3")
    assert {"A", "B"} <= set("".join(dots(text)))
    assert "C" not in "".join(dots(text))
    assert "no value" in text
    coloured = terminal(of, width=80, height=24, color=True)
    assert "\x1b[36mA" in coloured
    assert "\x1b[33mB" in coloured


@given(st.lists(values, min_size=2, max_size=4), st.integers(1, 130), st.integers(1, 50))
def test_several_companies_fit_any_terminal(many: list[list[float | None]], width: int, height: int) -> None:
    of = compared(*(pe(*one, company=Company(f"C{number}", "株式会社" * 9)) for number, one in enumerate(many)))
    assert max(map(cell_len, terminal(of, width=width, height=height, color=False).splitlines())) <= width


def test_a_long_name_leaves_room_for_how_the_company_moved() -> None:
    of = compared(pe(1.0, 2.0, company=Company("LONG", "株式会社" * 30)), pe(3.0, 4.0, company=BETA))
    assert terminal(of, width=60, height=24, color=False).splitlines()[1].endswith("…  1 → 2, +100.0 %")


def test_a_terminal_too_narrow_for_a_line_shows_the_values() -> None:
    assert dots(drawn(pe(1.0, 2.0), width=31)) == []
    assert "1 → 2" in drawn(pe(1.0, 2.0), width=31)


def test_a_name_cannot_act_on_the_terminal() -> None:
    text = drawn(pe(1.0, 2.0), name=HOSTILE, width=120)
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.process
def test_a_plot_on_the_terminal_does_not_import_what_draws_files() -> None:
    printed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pipeline.plot.terminal, pipeline.plot.save; print('vl_convert' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == "False"

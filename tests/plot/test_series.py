"""Plots: what they show of a series, on a terminal and as a picture, and that nothing in them acts."""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.errors import Trouble
from pipeline.model.fields import FIELDS
from pipeline.plot.pages import save
from pipeline.plot.series import (
    Point,
    Series,
    Stretch,
    change,
    date_ticks,
    human,
    journey,
    lines,
    marked,
    merged,
    spoken,
    value_ticks,
)
from pipeline.plot.terminal import terminal

PE = FIELDS["PERatio"]
CAP = FIELDS["MarketCapitalization"]
FIRST = datetime(2026, 1, 5, 22, tzinfo=UTC)
DAY = timedelta(days=1)
CROSS = "\N{MULTIPLICATION SIGN}"
HOSTILE = "株\x1b[2J\u202e</svg><script>alert('1')</script>--> & $x^$ \ud800 ]]> \x00"


def points(*values: float | None, every: timedelta = 7 * DAY, held: timedelta = 3 * DAY) -> tuple[Point, ...]:
    return tuple(
        Point(FIRST + number * every, FIRST + number * every + held, value) for number, value in enumerate(values)
    )


def pe(*values: float | None, wrong: Sequence[int] = ()) -> Series:
    made = points(*values)
    return Series(PE, made, frozenset(made[number].observed_at for number in wrong))


def drawn(*series: Series, width: int = 80, height: int = 24, color: bool = False, name: str | None = "Acme") -> str:
    return terminal("ACME", name, series, width=width, height=height, color=color)


def dots(text: str) -> list[str]:
    """Return the rows of the panels, what stands right of the scale."""
    return [re.split("[│┤]", line, maxsplit=1)[1] for line in text.splitlines() if re.search("[│┤]", line)]


# What is shown


def test_a_value_is_known_from_its_first_look_to_its_last_and_unknown_until_the_next() -> None:
    first, second = made = points(1.0, 2.0)
    assert lines(made) == (
        (
            Stretch(first.observed_at, first.confirmed_at, 1.0, known=True),
            Stretch(first.confirmed_at, second.observed_at, 1.0, known=False),
            Stretch(second.observed_at, second.confirmed_at, 2.0, known=True),
        ),
    )


def test_no_value_is_a_gap_and_no_zero() -> None:
    before, after = lines(points(1.0, None, None, 3.0))
    assert [stretch.value for stretch in before] == [1.0, 1.0]
    assert before[-1].end == FIRST + 7 * DAY  # the first look that found no value
    assert [stretch.value for stretch in after] == [3.0]


def test_versions_in_which_the_field_did_not_change_are_one() -> None:
    made = points(1.0, 1.0, 2.0, 1.0)
    assert [point.value for point in merged(made)] == [1.0, 2.0, 1.0]
    assert merged(made)[0].confirmed_at == made[1].confirmed_at


def test_a_value_that_no_axis_can_hold_is_a_gap() -> None:
    assert [point.value for point in merged(points(1.0, 1e300, 2.0))] == [1.0, None, 2.0]
    assert marked(pe(1.0, 1e300, wrong=[1])) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.1e12, "3.1T"),
        (450e9, "450B"),
        (12.3, "12.3"),
        (0.2741, "0.2741"),
        (-7.4321e9, "-7.432B"),
        (1234.56, "1,234.56"),
        (0, "0"),
        (1e-9, "1e-09"),
        (2.5e20, "2.5e+20"),
    ],
)
def test_numbers_read_as_people_write_them(value: float, text: str) -> None:
    assert human(value) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [(100, 110.6, "+10.6 %"), (-4, -2, "+50.0 %"), (5, 5, "±0 %"), (0, 3, ""), (-1, 3, ""), (1, 1e9, "")],
)
def test_a_change_in_per_cent_is_told_where_it_means_something(first: float, last: float, text: str) -> None:
    assert change(first, last) == text


def test_the_heading_says_first_last_and_change_and_that_the_value_is_gone() -> None:
    assert journey(points(10.0, 30.0, 12.0)) == "10 → 12, +20.0 %"
    assert journey(points(10.0, 12.0, None)) == "10 → 12, +20.0 %, then no value"
    assert journey(points(10.0, None, 10.0)) == "10, unchanged"
    assert journey(points(None)) == ""


def test_too_little_to_draw_is_said_in_words() -> None:
    assert spoken(pe()) == "nothing observed"
    assert spoken(pe(None, None)) == "no value in 2 snapshots, from 2026-01-05 to 2026-01-15"
    assert spoken(pe(12.3)) == "12.3, from 2026-01-05 to 2026-01-08"
    assert spoken(pe(12.3, wrong=[0])) == "12.3, from 2026-01-05 to 2026-01-08, looks wrong"
    assert spoken(pe(12.3, 12.3)) is None


@example(9.9992e29, 9.9998e29, 3)
@example(9.999999999999996e29, 9.999999999999999e29, 3)
@example(1.0, 1.0 + 2e-13, 12)
@given(
    st.floats(-1e30, 1e30).map(lambda value: value if abs(value) >= 1e-30 else 0.0),
    st.floats(-1e30, 1e30).map(lambda value: value if abs(value) >= 1e-30 else 0.0),
    st.integers(3, 12),
)
def test_the_ticks_are_few_different_and_within_the_range(one: float, other: float, most: int) -> None:
    low, high = sorted((one, other))
    ticks = value_ticks(low, high, most)
    spare = (high - low) * 1e-6 + abs(low) * 1e-12
    assert len(ticks) <= most
    assert all(low - spare <= tick.value <= high + spare for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=60_000)), st.integers(2, 12))
def test_the_dates_are_few_in_order_and_within_the_range(length: timedelta, most: int) -> None:
    ticks = date_ticks(FIRST, FIRST + length, most)
    assert len(ticks) <= most + 1
    assert all(FIRST <= instant <= FIRST + length for instant, _ in ticks)
    assert [instant for instant, _ in ticks] == sorted({instant for instant, _ in ticks})


# On a terminal


values = st.lists(
    st.none() | st.floats(-1e13, 1e13, allow_nan=False) | st.sampled_from([1e300, 5e-324, 0.0]), max_size=12
)


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 130), st.integers(1, 50), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    many: list[list[float | None]], width: int, height: int, wrong: bool
) -> None:
    text = drawn(
        *(pe(*one, wrong=[0] if one and wrong else []) for one in many), width=width, height=height, name="株式会社" * 9
    )
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_the_plot_fills_the_terminal_and_leaves_a_line_for_the_prompt(width: int, height: int, panels: int) -> None:
    plot = drawn(*[pe(1.0, 4.0, 2.0, wrong=[1])] * panels, width=width, height=height).splitlines()
    assert height - 1 - 2 * panels <= len(plot) <= height - 1
    assert max(map(cell_len, plot)) == width


def test_without_colour_there_is_no_escape_code_and_with_it_the_same_text() -> None:
    series = (pe(1.0, 4.0, None, 2.0, wrong=[1]), pe(None))
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


def test_what_was_known_is_drawn_through_and_what_was_not_is_dotted_and_explained() -> None:
    text = drawn(pe(1.0, 2.0))
    top, bottom = dots(text)[0], dots(text)[-1]
    assert re.fullmatch("⠉{20,}⠁?", top.strip(" ⢸⡇⢹⡏"))
    assert re.match("⣀{20,}⡀{20,}", bottom)
    assert "known to hold" in text
    assert "known to hold" not in drawn(pe(2.0, 2.0))


def test_a_point_that_looks_wrong_is_marked_and_explained() -> None:
    text = drawn(pe(1.0, 4.0, 2.0, wrong=[1]))
    assert "".join(dots(text)).count(CROSS) == 1
    assert f"{CROSS} looks wrong" in text
    assert CROSS not in drawn(pe(1.0, 4.0, 2.0))


def test_one_value_or_none_is_said_and_not_drawn() -> None:
    assert drawn(pe(12.3)) == "ACME  Acme\npe_ratio, ratio: 12.3, from 2026-01-05 to 2026-01-08"
    assert drawn(pe(None, None)).endswith("no value in 2 snapshots, from 2026-01-05 to 2026-01-15")
    assert drawn(pe()).endswith("pe_ratio, ratio: nothing observed")
    beside = drawn(pe(1.0, 2.0), Series(CAP, points(None, None)))
    assert len(dots(beside)) > 10
    assert "no value in 2 snapshots" in beside


def test_equal_values_are_one_level_line() -> None:
    rows = dots(drawn(pe(5.0, 5.0, 5.0)))
    assert [bool(row.strip()) for row in rows].count(True) == 1


def test_a_terminal_too_narrow_for_a_line_is_told_the_values() -> None:
    assert dots(drawn(pe(1.0, 2.0), width=31)) == []
    assert "1 → 2" in drawn(pe(1.0, 2.0), width=31)


def test_a_name_cannot_act_on_the_terminal() -> None:
    text = drawn(pe(1.0, 2.0), name=HOSTILE, width=120)
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_plot_on_the_terminal_imports_no_library_for_pictures() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pipeline.plot.terminal, pipeline.plot.pages; print('matplotlib' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"


# As a picture


UNTIL = datetime(2026, 11, 20, 9, tzinfo=UTC)


def saved(path: Path, *series: Series, name: str | None = "Acme") -> bytes:
    pytest.importorskip("matplotlib")
    save(path, "ACME", name, series, until=UNTIL)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.pdf", "a", "svg", "a.svg.gz"])
def test_another_kind_of_picture_is_refused_and_told_which_there_are(tmp_path: Path, name: str) -> None:
    with pytest.raises(Trouble, match=r"\.svg, \.png or \.html"):
        save(tmp_path / name, "ACME", None, [pe(1.0)], until=UNTIL)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_a_picture_says_what_to_install(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules["matplotlib"] = None
from datetime import datetime, UTC
from pathlib import Path
from pipeline.errors import Trouble
from pipeline.plot.pages import save
try:
    save(Path({str(tmp_path / "a.svg")!r}), "ACME", None, [], until=datetime.now(UTC))
except Trouble as trouble:
    print(trouble)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'overview-pipeline[plot]'" in told.stdout
    assert len(told.stdout.splitlines()) == 1


SHAPES = {
    "nothing": (),
    "one": (12.3,),
    "none": (None, None),
    "two": (1.0, 2.0),
    "equal": (5.0, 5.0, 5.0),
    "zero": (0.0, 0.0),
    "gaps": (1.0, None, 3.0, None),
    "huge": (1.0, 1e300, -1e29, 5e-324),
    "close": (1e15, 1e15 + 0.125),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_series_makes_a_picture_of_each_kind(tmp_path: Path, shape: str) -> None:
    series = pe(*SHAPES[shape], wrong=[0] if SHAPES[shape] else [])
    assert saved(tmp_path / "a.PNG", series).startswith(b"\x89PNG")
    ET.fromstring(saved(tmp_path / "a.svg", series, pe(1.0, 2.0)))
    assert saved(tmp_path / "a.html", series).startswith(b"<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.PNG", "a.html", "a.svg"]


def test_the_same_series_make_the_same_svg_without_its_date(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.svg", pe(1.0, None, 2.0, wrong=[0]))
    assert one == saved(tmp_path / "b.svg", pe(1.0, None, 2.0, wrong=[0]))
    assert b"metadata" not in one


def test_a_hostile_name_does_nothing_in_a_picture(tmp_path: Path) -> None:
    for kind in ("svg", "html", "png"):
        text = saved(tmp_path / f"a.{kind}", pe(1.0, 2.0), name=HOSTILE)
        assert b"<script" not in text
        assert b"\x1b" not in text or kind == "png"
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert {tag.rpartition("}")[2] for tag in (one.tag for one in root.iter())} <= {
        "svg", "title", "desc", "defs", "style", "g", "path", "use", "clipPath", "rect",
    }  # fmt: skip
    assert not any(name.startswith("on") for one in root.iter() for name in one.attrib)
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert "<script>alert('1')</script>" in (title.text or "")


def test_a_page_asks_the_network_for_nothing_and_follows_the_readers_colours(tmp_path: Path) -> None:
    page = saved(tmp_path / "a.html", pe(1.0, 2.0, wrong=[1])).decode()
    assert not re.search(r"""(?:src|href)="(?!#)|url\((?!#)|@import""", page)
    assert "prefers-color-scheme: dark" in page
    body = page[page.index("<body>") :]
    assert not re.search("#[0-9a-fA-F]{6}", body)  # each colour is a variable


def test_a_page_holds_every_value_exactly_newest_first(tmp_path: Path) -> None:
    caps = Series(CAP, points(2452637876000, 2452637876000, None))
    page = saved(tmp_path / "a.html", caps, pe(1.23456, 1.23456, 7.0, wrong=[2])).decode()
    rows = re.findall("<tr>(<td.*)</tr>", page)
    assert [re.findall("<td[^>]*>([^<]*)</td>", row) for row in rows] == [
        ["2026-01-19 22:00:00", "2026-01-22 22:00:00", "-", "7"],
        ["2026-01-05 22:00:00", "2026-01-15 22:00:00", "2,452,637,876,000", "1.23456"],
    ]
    assert 'class="wrong" title="looks wrong">7<' in page


def test_a_picture_says_what_it_is_to_who_cannot_see_it(tmp_path: Path) -> None:
    told = ET.fromstring(saved(tmp_path / "a.svg", pe(1.0, 2.0))).findtext("{http://www.w3.org/2000/svg}desc")
    assert told == "pe_ratio: 1 → 2, +100.0 %"


def test_an_older_picture_is_replaced_and_a_failure_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    assert saved(tmp_path / "a.svg", pe(1.0, 2.0)).startswith(b"<?xml")
    with pytest.raises(Trouble, match="no such file or directory"):
        saved(tmp_path / "nowhere" / "a.svg", pe(1.0))
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(Trouble, match="is a folder"):
        saved(tmp_path / "folder.svg", pe(1.0))


def test_a_picture_is_drawn_without_pyplot_and_neither_takes_nor_changes_the_users_style(tmp_path: Path) -> None:
    usual = saved(tmp_path / "a.svg", pe(1.0, 2.0))
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsavefig.bbox: tight\n")
    script = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from pipeline.plot.pages import save
from pipeline.plot.series import Point, Series
from pipeline.model.fields import FIELDS
first = datetime(2026, 1, 5, 22, tzinfo=UTC)
points = tuple(Point(at, at + timedelta(3), value) for at, value in ((first, 1.0), (first + timedelta(7), 2.0)))
save(Path("b.svg"), "ACME", "Acme", [Series(FIELDS["PERatio"], points)], until=datetime(2026, 11, 20, 9, tzinfo=UTC))
import matplotlib
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams["lines.linewidth"])
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.split() == ["False", "9.0"]
    assert (tmp_path / "b.svg").read_bytes() == usual

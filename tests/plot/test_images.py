"""Plots as SVG and PNG: every shape of a series, always alike, described, and harmless."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.plot.series import Plot
from tests.support.plots import HOSTILE, UNTIL, needs_matplotlib, pe, saved

pytestmark = needs_matplotlib

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
def test_any_series_makes_an_image_and_a_page_with_its_svg(tmp_path: Path, shape: str) -> None:
    series = pe(*SHAPES[shape], suspicious=[0] if SHAPES[shape] else [])
    assert saved(tmp_path / "a.PNG", series).startswith(b"\x89PNG")
    page = saved(tmp_path / "a.html", series, pe(1.0, 2.0)).decode()
    assert page.startswith("<!DOCTYPE html>")
    ET.fromstring(page[page.index("<svg") : page.index("</svg>")] + "</svg>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.PNG", "a.html"]


def test_equal_series_make_equal_svgs_without_a_date(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.svg", pe(1.0, None, 2.0, suspicious=[0]))
    assert one == saved(tmp_path / "b.svg", pe(1.0, None, 2.0, suspicious=[0]))
    assert b"metadata" not in one


def test_a_hostile_name_is_inert_in_every_format(tmp_path: Path) -> None:
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


def test_an_svg_has_a_description_for_those_who_cannot_see_it(tmp_path: Path) -> None:
    description = ET.fromstring(saved(tmp_path / "a.svg", pe(1.0, 2.0))).findtext("{http://www.w3.org/2000/svg}desc")
    assert description == "pe_ratio: 1 → 2, +100.0 %"


def test_the_legend_covers_no_other_text() -> None:
    from pipeline.plot.images import _figure  # noqa: PLC0415 - needs the extra

    figure = _figure(Plot("ACME", "Acme", (pe(1.0, 4.0, None, 2.0, suspicious=[1]),), UNTIL))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert not [
        text.get_text() for text in figure.texts if legend.get_window_extent().overlaps(text.get_window_extent())
    ]


@pytest.mark.process
def test_matplotlib_is_used_without_pyplot_and_without_the_users_style(tmp_path: Path) -> None:
    usual = saved(tmp_path / "a.svg", pe(1.0, 2.0))
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsavefig.bbox: tight\n")
    script = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from pipeline.plot.save import save
from pipeline.plot.series import Plot, Point, Series
from pipeline.model.fields import FIELDS
first = datetime(2026, 1, 5, 22, tzinfo=UTC)
points = tuple(Point(at, at + timedelta(3), value) for at, value in ((first, 1.0), (first + timedelta(7), 2.0)))
series = (Series(FIELDS["PERatio"], points),)
save(Path("b.svg"), Plot("ACME", "Acme", series, until=datetime(2026, 11, 20, 9, tzinfo=UTC)))
import matplotlib
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams["lines.linewidth"])
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert printed.stdout.split() == ["False", "9.0"]
    assert (tmp_path / "b.svg").read_bytes() == usual

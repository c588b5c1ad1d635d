"""Pictures as SVG, PNG and PDF: every shape of a series, always alike, described, and harmless."""

import re
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pipeline.plot.labels import CONFIRMED, SUSPICIOUS, UNCONFIRMED
from pipeline.plot.series import Company
from pipeline.plot.spec import heading, plot_spec
from tests.support.plots import BETA, HOSTILE, caps, compared, needs_pictures, pe, plot, saved

pytestmark = needs_pictures

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
_SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    """Return the texts that the picture shows."""
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{_SVG}text")]


def box(svg: bytes) -> tuple[float, float]:
    """Return width and height of a picture."""
    root = ET.fromstring(svg)
    return float(root.attrib["width"]), float(root.attrib["height"])


@pytest.mark.parametrize("shape", SHAPES)
def test_any_series_makes_a_picture(tmp_path: Path, shape: str) -> None:
    series = pe(*SHAPES[shape], suspicious=[0] if SHAPES[shape] else [])
    svg = saved(tmp_path / "a.SVG", series)
    assert "pe_ratio" in texts(svg)
    assert not re.search("NaN|undefined|Infinity", svg.decode())
    assert [path.name for path in tmp_path.iterdir()] == ["a.SVG"]


def pieces(svg: bytes, *, dashed: bool) -> list[list[tuple[float, float]]]:
    """Return the pieces of the lines that are drawn dashed or solid, each as its points."""
    found = []
    for path in ET.fromstring(svg).iter(f"{_SVG}path"):
        if path.attrib.get("stroke") not in ("#0072b2", "#3b8fc4") or ("stroke-dasharray" in path.attrib) != dashed:
            continue
        for piece in path.attrib["d"].split("M")[1:]:
            numbers = [float(one) for one in re.findall(r"-?[\d.]+(?:e-?\d+)?", piece)]
            found.append(list(zip(numbers[::2], numbers[1::2], strict=False)))
    return [piece for piece in found if len(piece) > 1]


def test_what_is_confirmed_is_solid_and_the_gap_to_the_next_observation_dashed(tmp_path: Path) -> None:
    svg = saved(tmp_path / "a.svg", pe(1.0, 4.0, None, 2.0, 2.0, 3.0))
    solid, dashed = pieces(svg, dashed=False), pieces(svg, dashed=True)
    assert len(solid) == 4  # 1, 4, the two snapshots of 2, 3
    assert all(piece[0][1] == piece[-1][1] for piece in solid)  # level: nothing between observations
    ((first, second), (third, fourth)) = solid[:2], solid[2:]
    steps = (step for piece in dashed for step in pairwise(piece))
    assert all(one[0] == other[0] or one[1] == other[1] for one, other in steps)  # no value between two is made up
    before, after = dashed  # the missing value
    assert (before[0][0], after[0][0]) == (first[0][0], third[0][0])
    assert before[-1][0] > second[-1][0]  # to the observation that found no value
    assert before[-1][0] < after[0][0]  # where there was no value there is no line
    assert after[-1][0] == fourth[-1][0]


def test_a_png_is_a_picture_of_the_wanted_width_and_a_pdf_a_document(tmp_path: Path) -> None:
    png = saved(tmp_path / "a.png", pe(1.0, 2.0))
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert 1400 <= width <= 1600
    assert 600 <= height <= 900
    assert saved(tmp_path / "a.pdf", pe(1.0, 2.0)).startswith(b"%PDF")


def test_equal_series_make_equal_svgs(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.svg", pe(1.0, None, 2.0, suspicious=[0]))
    assert one == saved(tmp_path / "b.svg", pe(1.0, None, 2.0, suspicious=[0]))


def test_every_text_is_whole_and_within_the_picture(tmp_path: Path) -> None:
    name = "The Very Long Company of Names That Do Not End, Holding 株式会社 شركة"
    svg = saved(tmp_path / "a.svg", pe(1.0, 4.0, 2.0, suspicious=[1]), caps(-2.4e12, 3.1e12), name=name)
    shown = texts(svg)
    for text in (f"ACME\u2003{name}", "pe_ratio", "market_capitalization", "USD", "3.1T", CONFIRMED, UNCONFIRMED,
                 SUSPICIOUS, "-2.4T → 3.1T"):  # fmt: skip
        assert text in shown
    width, _ = box(svg)
    for one in ET.fromstring(svg).iter(f"{_SVG}text"):
        assert "…" not in "".join(one.itertext())
    plain = saved(tmp_path / "b.svg", pe(1.0, 4.0, 2.0, suspicious=[1]), caps(-2.4e12, 3.1e12), name="A")
    assert width == box(plain)[0]  # the longest title fits


@pytest.mark.parametrize("name", [HOSTILE, "datum['x'] ${alert(1)} {signal: 'width'} [0].y", "</svg><svg onload=x>"])
def test_a_hostile_name_is_a_text_and_nothing_else(tmp_path: Path, name: str) -> None:
    svg = saved(tmp_path / "a.svg", pe(1.0, 2.0), name=name)
    root = ET.fromstring(svg)
    assert {tag.rpartition("}")[2] for tag in (one.tag for one in root.iter())} <= {
        "svg", "title", "desc", "defs", "g", "path", "clipPath", "rect", "line", "text", "tspan",
    }  # fmt: skip
    assert not any(key.startswith("on") for one in root.iter() for key in one.attrib)
    title = heading(Company("ACME", name).title)
    assert root.findtext(f"{_SVG}title") == title
    assert title in texts(svg)


def test_an_svg_has_a_description_for_those_who_cannot_see_it(tmp_path: Path) -> None:
    description = ET.fromstring(saved(tmp_path / "a.svg", pe(1.0, 2.0))).findtext(f"{_SVG}desc")
    assert description == "pe_ratio: 1 → 2, +100.0 %"


def test_the_names_and_latest_values_of_several_companies_do_not_overlap() -> None:
    from pipeline.plot import images  # noqa: PLC0415 - needs the extra

    series = [pe(1.0, 2.0 + number / 100, company=Company(f"C{number}", "Name")) for number in range(8)]
    svg = images.svg(plot_spec(compared(*series, pe(1.0, company=BETA))))
    labels = [
        (float(place[1]), "".join(one.itertext()))
        for one in ET.fromstring(svg).iter(f"{_SVG}text")
        if (place := re.search(r"translate\([-\d.]+,([-\d.]+)\)", one.attrib.get("transform", "")))
        and re.match(r"C\d 2", "".join(one.itertext()))
    ]
    heights = sorted(height for height, _ in labels)
    assert len(labels) == 8
    assert all(after - before >= 14 for before, after in pairwise(heights))


def test_two_thousand_versions_make_a_file_of_moderate_size(tmp_path: Path) -> None:
    svg = saved(tmp_path / "a.svg", pe(*(number % 97 - 40.0 for number in range(2_000))))
    assert len(svg) < 400_000


def test_the_spec_has_no_values_that_are_not_json() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                assert isinstance(key, str)
                check(one)
        elif isinstance(value, list):
            for one in value:
                check(one)
        else:
            assert value is None or isinstance(value, (str, int, float, bool))

    check(plot_spec(plot(pe(1.0, None)), interactive=True))

"""Specs of cross-sections: a dot for each company, with its values and its staleness."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.plot.axes import number_scale
from pipeline.plot.scatter_spec import scatter_spec
from pipeline.plot.series import Company, drawable
from tests.support.cross_sections import CAP, PE, SECTOR, section
from tests.support.plots import HOSTILE, needs_pictures


def layers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec["vconcat"][0]["layer"]
    return found


def drawn(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the dots."""
    rows: list[dict[str, Any]] = spec["vconcat"][0]["data"]["values"]
    return rows


numbers = st.floats(-1e30, 1e30) | st.sampled_from([0.0, 5e-324])


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20), st.booleans())
def test_the_data_are_the_companies_values(values: list[tuple[float, float]], interactive: bool) -> None:
    spec = scatter_spec(section(PE, CAP, values), interactive=interactive)
    json.dumps(spec, allow_nan=False)
    assert sorted((row["symbol"], row["x"], row["y"]) for row in drawn(spec)) == sorted(
        (f"S{number}", *map(drawable, pair)) for number, pair in enumerate(values)
    )


def test_the_last_line_says_how_stale_the_values_are_and_what_the_lines_are() -> None:
    def last(values: list[tuple[str, float | None]]) -> str:
        text: str = scatter_spec(section(SECTOR, PE, values))["vconcat"][1]["layer"][0]["mark"]["text"]
        return text.partition(": ")[2]

    assert last([("A", 1.0), ("B", 2.0)]) == "2 companies, last seen up to 5 h before"
    assert last([("A", 1.0), ("A", 2.0), ("B", None)]) == (
        "2 companies, last seen up to 5 h before; 1 without a value left out; lines are medians"
    )


def test_the_pointer_shows_name_exact_values_and_staleness() -> None:
    spec = scatter_spec(section(SECTOR, CAP, [("TECHNOLOGY", 2452637876000)]), interactive=True)
    (row,) = drawn(spec)
    assert row["company"] == "S0  Acme"
    assert (row["exact_x"], row["exact_y"]) == ("2,452,637,876,000", "TECHNOLOGY")
    assert row["seen"] == "2026-03-14 18:00:00, 5 h before"
    shown = [field["field"] for layer in layers(spec) for field in layer["encoding"].get("tooltip", [])]
    assert shown == ["company", "exact_y", "exact_x", "seen"]


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1.0, 100.0), True), ((1.0, 99.0), False), ((-1.0, 1e9), False), ((0.0, 1e9), False)]
)
def test_an_axis_is_logarithmic_where_values_differ_widely_and_are_positive(
    values: tuple[float, float], logarithmic: bool
) -> None:
    assert number_scale(values).is_logarithmic == logarithmic
    spec = scatter_spec(section(SECTOR, PE, [("A", value) for value in values]))
    assert layers(spec)[0]["encoding"]["x"]["scale"]["type"] == ("log" if logarithmic else "linear")
    assert ("zero" in layers(spec)[0]["encoding"]["x"]["scale"]) != logarithmic  # Vega-Lite would warn in the console


@example([1.0, 5e-324])
@given(st.lists(st.floats(-1e30, 1e30) | st.floats(1e-30, 1e30), min_size=1, max_size=9))
def test_every_value_is_on_its_axis_and_in_order(values: list[float]) -> None:
    scale = number_scale(values)
    shares = [scale.share(value) for value in sorted(values)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)


def test_texts_stand_in_data_and_titles_only() -> None:
    def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if isinstance(value, dict):
            return [place for key, one in value.items() for place in places(one, (*path, key))]
        if isinstance(value, list):
            return [place for one in value for place in places(one, path)]
        return [path] if isinstance(value, str) and "alert" in value else []

    for made in (section(SECTOR, PE, [(HOSTILE, 1.0), ("A", 2.0)], HOSTILE), section(CAP, PE, [(1, 1.0)], HOSTILE)):
        found = {place[-2:] for place in places(scatter_spec(made, interactive=True))}
        assert {("values", "company")} <= found <= {("values", name) for name in ("company", "label", "exact_y")}


@needs_pictures
def test_both_kinds_are_drawn_with_every_row_named_whole() -> None:
    from pipeline.plot import images  # noqa: PLC0415 - needs the extra

    long = "SERVICES-COMPUTER PROGRAMMING, DATA PROCESSING, ETC. & OTHERS"
    in_rows = images.svg(scatter_spec(section(SECTOR, PE, [(long, 1.0), ("B", 2.0), ("B", 500.0)])))
    assert long.replace("&", "&amp;") in in_rows
    assert "pe_ratio, ratio, logarithmic" in in_rows
    between = images.svg(scatter_spec(section(CAP, PE, [(1_000_000_000, 1.0), (3_000_000_000, -2.0)])))
    assert "market_capitalization, USD" in between
    assert all(f">{symbol}<" in between for symbol in ("S0", "S1"))
    assert "NaN" not in in_rows + between


@needs_pictures
def test_the_dot_nearest_to_the_pointer_is_the_one_that_is_shown() -> None:
    """Vega-Lite 6.4 looks for texts in the wrong place, which is why `images` asks for an older one."""
    import vl_convert  # noqa: PLC0415 - needs the extra

    from pipeline.plot.images import VEGA_LITE  # noqa: PLC0415 - needs the extra

    spec = scatter_spec(section(SECTOR, PE, [("A", 1.0)]), interactive=True)
    compiled = json.dumps(vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE))
    assert 'datum.datum[\\"company\\"]' in compiled
    assert Company("S0", "Acme").title in compiled

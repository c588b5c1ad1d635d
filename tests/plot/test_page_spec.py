"""Specs for a page: one field, as wide as its place, in the marks of all pictures."""

import json
from typing import Any

from pipeline.model.fields import FIELDS
from pipeline.plot.page_spec import page_spec
from pipeline.plot.series import Company, Series
from tests.support.plots import ACME, HOSTILE, compared, needs_pictures, pe, plot, points


def _texts(value: Any) -> str:
    return json.dumps(value)


def test_it_fills_its_place_and_leaves_heading_and_unit_to_the_page() -> None:
    spec = page_spec(plot(pe(1.0, 2.0)))
    assert spec is not None
    assert spec["width"] == "container"
    assert "title" not in spec
    assert [layer["mark"]["style"] for layer in spec["layer"]] == ["gap", "confirmed", "hover"]


def test_the_wheel_alone_scrolls_the_page() -> None:
    spec = page_spec(plot(pe(1.0, 2.0)))
    assert spec is not None
    (zoom, _hover) = spec["params"]
    assert "ctrlKey" in zoom["select"]["zoom"]


def test_fractions_are_labelled_in_per_cent() -> None:
    spec = page_spec(plot(Series(ACME, FIELDS["ProfitMargin"], points(0.21, 0.28))))
    assert spec is not None
    assert spec["layer"][0]["encoding"]["y"]["axis"]["format"].endswith("%")


def test_too_little_to_draw_is_no_spec() -> None:
    assert page_spec(plot(pe(1.0))) is None
    assert page_spec(plot(pe(None, None))) is None


def test_a_hostile_name_stands_in_the_data_only() -> None:
    spec = page_spec(compared(pe(1.0, 2.0, company=Company("EVIL", HOSTILE))))
    assert spec is not None
    rows = spec.pop("data")["values"]
    assert all("alert" in row["company"] for row in rows)
    assert "alert" not in _texts(spec)


@needs_pictures
def test_vega_takes_it() -> None:
    import vl_convert  # noqa: PLC0415 - an extra

    spec = page_spec(plot(pe(1.0, 2.0, None, 4.0, suspicious=[1], company=ACME)))
    assert spec is not None
    assert vl_convert.vegalite_to_vega(spec, vl_version="6.1")["marks"]

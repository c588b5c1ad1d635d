"""Specs: their data are the values of the series, and texts stand in no expression."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.instants import to_text
from pipeline.plot.indexed import indexed
from pipeline.plot.labels import placeholder
from pipeline.plot.series import Company, Panel, Plot, merged
from pipeline.plot.spec import plot_spec
from tests.support.plots import ACME, BETA, DAY, FIRST, HOSTILE, UNTIL, caps, compared, pe, plot, spell

values = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=12)


def versions(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of all panels."""
    return [row for view in spec["vconcat"] for row in view.get("data", {}).get("values", []) if "from" in row]


@given(values, st.booleans())
def test_the_data_are_the_versions_of_the_series(one: list[float | None], interactive: bool) -> None:
    series = pe(*one)
    spec = plot_spec(plot(series), interactive=interactive)
    json.dumps(spec, allow_nan=False)
    drawn = merged(series.points) if placeholder(series) is None else []
    assert [(row["from"], row["until"], row["value"]) for row in versions(spec)] == [
        (to_text(point.observed_at), to_text(point.confirmed_at), point.value) for point in drawn
    ]
    assert [row["next"] for row in versions(spec)] == [to_text(point.observed_at) for point in drawn[1:]] + [
        None
    ] * bool(drawn)


def test_each_version_is_its_companys() -> None:
    rows = versions(plot_spec(compared(pe(1.0, 2.0), pe(7.0, 8.0, 9.0, company=BETA))))
    assert [(row["symbol"], row["value"]) for row in rows] == [
        ("ACME", 1.0), ("ACME", 2.0), ("BETA-B", 7.0), ("BETA-B", 8.0), ("BETA-B", 9.0),
    ]  # fmt: skip


def test_numbers_after_a_name_that_is_written_from_right_to_left_keep_their_order() -> None:
    spec = plot_spec(compared(pe(1.0, 2.0, company=Company("AR", "شركة")), pe(3.0, 4.0, company=BETA)))
    assert "شركة\N{LEFT-TO-RIGHT MARK}\N{EM SPACE}1 → 2" in spec["vconcat"][0]["data"]["values"][0]["label"]


def test_suspicious_points_are_marked_and_only_they() -> None:
    def marked(spec: dict[str, Any]) -> list[float]:
        return [
            row["y"]
            for view in spec["vconcat"]
            for layer in view["layer"]
            if layer["mark"].get("style") == "suspicious"
            for row in layer["data"]["values"]
            if "y" in row
        ]

    assert marked(plot_spec(plot(pe(1.0, 4.0, 2.0, suspicious=[1])))) == [4.0]
    assert marked(plot_spec(plot(pe(1.0, 4.0, 2.0)))) == []


def test_no_name_reaches_an_expression_or_a_field_name() -> None:
    """A text of a company stands where Vega takes a text: in data, or as the text of a title or a mark."""

    def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if isinstance(value, dict):
            return [place for key, one in value.items() for place in places(one, (*path, key))]
        if isinstance(value, list):
            return [place for one in value for place in places(one, path)]
        return [path] if isinstance(value, str) and "alert" in value else []

    one, other = pe(1.0, 2.0), pe(3.0, 4.0, company=BETA)
    for spec in (
        plot_spec(plot(one, name=HOSTILE), interactive=True),
        plot_spec(compared(one, pe(1.0, 2.0, company=type(BETA)("X", HOSTILE)), other), interactive=True),
    ):
        assert {place[-2:] for place in places(spec)} <= {("title", "text"), ("values", "company"), ("values", "label")}
        assert places(spec)


def test_only_an_interactive_spec_takes_part_in_what_the_pointer_does() -> None:
    still, live = (plot_spec(plot(pe(1.0, 2.0), pe(3.0, 4.0)), interactive=one) for one in (False, True))
    assert "params" not in json.dumps(still)
    assert {param["name"] for param in live["params"]} == {"zoom", "hover_panel_0", "hover_panel_1"}


def test_every_panel_spans_all_snapshots_so_that_dates_stand_below_one_another() -> None:
    companies = (ACME, BETA)
    low = indexed([pe(-1.0, 5.0, 6.0, 7.0), pe(2.0, 3.0, company=BETA)])
    whole = indexed([caps(1.0, 5.0, None, 7.0), replace(caps(2.0, 3.0), company=BETA)])
    spec = plot_spec(Plot(companies, (Panel(low[0].field, low), Panel(whole[0].field, whole)), UNTIL))
    first, second = (
        {row[end] for row in view["data"]["values"] for end in ("from", "until")}
        for view in spec["vconcat"]
        if "data" in view and "from" in view["data"]["values"][0]
    )
    assert (min(first), max(first)) == (min(second), max(second))
    assert "ACME: no index: it was -1" in json.dumps(spec)


def test_a_spell_without_coverage_is_a_band_behind_the_lines() -> None:
    spells = (spell(FIRST + 4 * DAY, FIRST + 6 * DAY), spell(UNTIL + DAY, UNTIL + DAY))
    spec = plot_spec(replace(plot(pe(1.0, 2.0)), uncovered=spells), interactive=True)
    behind = spec["vconcat"][0]["layer"][0]
    assert behind["mark"]["style"] == "uncovered"
    assert behind["data"]["values"] == [{"at": to_text(spells[0].start), "end": to_text(spells[0].end)}]
    assert "not covered since 2026-11-21" in json.dumps(spec)
    assert "not covered" not in json.dumps(plot_spec(plot(pe(1.0, 2.0))))

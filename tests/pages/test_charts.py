"""Charts: pictures on the server, specs for scripts, and the library that they need."""

import json
import re
from pathlib import Path

import pytest

from pipeline import History
from pipeline.pages.chart_library import ADDRESS
from pipeline.pages.charts import DRAWABLE, USUAL
from pipeline.pages.company import company_view
from pipeline.plot.line_chart import spark_path
from tests.pages.conftest import DAY, NONE
from tests.support.observations import after, text
from tests.support.plots import needs_pictures
from tests.support.reading_pages import page_of, rows_of
from tests.support.site import SiteClient, served


async def test_each_chart_tells_its_values_in_words_too(site: SiteClient) -> None:
    page = await page_of(site, "/companies/acme/chart")
    charts = page.root.all("svg", role="img")
    assert len(charts) == len(USUAL) == len(page.root.all("figure"))
    words = charts[1].attributes["aria-label"]
    for said in ("P/E", "14 Mar 2026", "first 28.0", "lowest 28.0", "highest 31.2"):
        assert said in words
    assert "then no value" not in page.root.all("figure")[0].text


async def test_gaps_suspicions_and_times_without_coverage_are_marked(site: SiteClient) -> None:
    page = await page_of(site, "/companies/ACME/chart?field=market_capitalization")
    (chart,) = page.root.all("svg", role="img")
    assert len(chart.all("circle", class_="suspicious")) == 1
    assert len(chart.all("rect", class_="uncovered")) == 1
    (line,) = chart.all("path", class_="between")
    assert line.attributes["d"].count("M") == 2  # not covered on a day between
    assert page.root.one("ul", class_="legend").text.count("suspicious") == 1


async def test_the_fields_and_the_span_are_chosen_in_the_address(site: SiteClient) -> None:
    page = await page_of(site, f"/as-of/{text(13 * DAY)}/companies/ACME/chart?field=eps&field=PERatio&since=3d")
    assert [one.text for one in page.root.all("figure") for one in one.all("a")] == ["EPS", "P/E"]
    assert [row[1:-1] for row in rows_of(page)] == [
        ["6.10", "31.2"],
        ["6.10", NONE],
        ["6.10", "30.8"],
        ["6.10", "30.5"],
    ]
    chosen = {one.attributes["value"] for one in page.root.all("input", type="checkbox") if "checked" in one.attributes}
    assert chosen == {"eps", "pe_ratio"}


async def test_a_span_without_a_snapshot_says_so_and_leads_to_all(site: SiteClient) -> None:
    page = await page_of(site, f"/as-of/{text(40 * DAY)}/companies/ACME/chart?field=eps&since=20d")
    said = page.root.one("main").all("p", class_="about")[0]
    assert [one.attributes["datetime"] for one in said.all("time")] == [
        after(20 * DAY).isoformat(), after(13 * DAY).isoformat()
    ]  # fmt: skip
    (everything,) = [one.attributes["href"] for one in said.all("a")]
    assert len(rows_of(await page_of(site, everything))) == 13


async def test_a_companys_page_draws_its_last_year_however_long_ago_that_was(eventful: Path) -> None:
    async with served(eventful, now=lambda: after(500 * DAY)) as site:
        page = await page_of(site, "/companies/ACME")
        spec = next(one.attributes["data-spec"] for one in page.root.all("figure") if "data-spec" in one.attributes)
        assert (await site.get(spec)).status == 200


async def test_all_values_are_one_link_away(site: SiteClient) -> None:
    page = await page_of(site, f"/as-of/{text(13 * DAY)}/companies/ACME/chart?field=eps&field=pe_ratio&since=5d")
    (link,) = [one.attributes["href"] for one in page.root.all("a") if one.text == "All as CSV"]
    got = await site.get(link)
    assert (got.status, got.headers["Content-Type"].partition(";")[0]) == (200, "text/csv")
    head, *lines = got.text.splitlines()
    assert "eps,pe_ratio" in head
    assert len(lines) == len(rows_of(page))


async def test_every_chart_that_a_companys_page_leads_to_is_there(site: SiteClient) -> None:
    page = await page_of(site, "/companies/ACME")
    links = {link for link in page.links if link.startswith("/companies/ACME/chart?")}
    named = {link.rpartition("field=")[2].partition("&")[0] for link in links}
    assert named == {field.column for field in DRAWABLE}
    for link in sorted(links)[:8]:
        await page_of(site, link)


async def test_too_little_to_draw_is_said_in_words(site: SiteClient) -> None:
    page = await page_of(site, "/companies/ACME/chart?field=beta")
    assert not page.root.all("svg", role="img")
    assert "No value in" in page.root.one("figure").text


@pytest.mark.parametrize(
    ("query", "status"),
    [("field=name", 400), ("field=nope", 400), ("since=x", 400), ("field=all", 400), ("since=all", 200)],
)
async def test_what_cannot_be_drawn_is_refused(site: SiteClient, query: str, status: int) -> None:
    await page_of(site, f"/companies/ACME/chart?{query}", status=status)
    await page_of(site, "/companies/NOPE/chart", status=404)


async def test_nothing_later_than_the_instant_is_drawn(site: SiteClient) -> None:
    got = await site.get(f"/as-of/{text(3 * DAY)}/companies/ACME/chart.json?field=pe_ratio")
    rows = json.loads(got.body)["spec"]["data"]["values"]
    assert [row["value"] for row in rows] == [28.0, 28.25, 28.5, 28.75]
    page = await page_of(site, f"/as-of/{text(3 * DAY)}/companies/ACME/chart")
    (spec, *_) = [one.attributes["data-spec"] for one in page.root.all("figure")]
    assert spec.startswith(f"/as-of/{text(3 * DAY)}/companies/ACME/chart.json?")


async def test_a_spec_has_the_colours_of_light_and_dark_pages(site: SiteClient) -> None:
    answer = json.loads((await site.get("/companies/ACME/chart.json?field=pe_ratio")).body)
    assert answer["light"]["background"] != answer["dark"]["background"]
    assert (await site.get("/companies/ACME/chart.json?field=beta")).status == 404


def test_a_companys_small_lines_are_those_of_its_values(eventful: Path) -> None:
    with History.open(eventful) as history:
        lines = company_view(history, "beta", after(3 * DAY)).lines
        snapshots = list(history.history("BETA", ["eps"]))
    assert [one.field for one in lines.charts] == list(USUAL)
    times = [one.observed_at.timestamp() for one in snapshots]
    assert lines.sparks["eps"] == spark_path(times, [0.0, 1.0, 2.0])
    assert lines.sparks.keys() <= {field.column for field in DRAWABLE}
    assert "beta" not in lines.sparks


@needs_pictures
@pytest.mark.process
async def test_the_library_is_made_once_and_may_be_kept_for_good(site: SiteClient) -> None:
    got = await site.get(ADDRESS)
    assert got.status == 200
    assert got.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in got.headers["Cache-Control"]
    assert re.search(rb"window\.vegaEmbed\s*=", got.body)
    assert (await site.get(ADDRESS)).body == got.body
    assert (await site.get("/static/charts/other.js")).status == 404


async def test_the_library_is_at_an_address_that_the_page_names(site: SiteClient) -> None:
    page = await page_of(site, "/companies/ACME/chart")
    scripts = [one.attributes for one in page.root.all("script")]
    assert [one.get("data-library") for one in scripts if "data-library" in one] in ([ADDRESS], [])

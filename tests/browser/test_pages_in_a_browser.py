"""Pages in a browser: at all widths, in light and dark, with scripts and without, from the keyboard."""

import re
from collections.abc import Iterable, Iterator
from itertools import cycle, product
from typing import TYPE_CHECKING

import pytest

from pipeline.pages.routes import ROUTES
from tests.support.browser import SCHEMES, WIDTHS, browser, needs_browser, overflow, shortcomings, shorten, window
from tests.support.collected import Collected

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.slow  # `make browser`

_NO_PAGE = re.compile(r".*\.[a-z]+|/static/.*|/go|/find")
_EVENTFUL = (
    "/changes?since=2026-01-01&symbol=ACME",
    "/companies/ACME/chart",
    "/companies/ACME/vintages",
    "/compare?symbol=ACME,BETA&a=2026-03-14&b=2026-03-20",
    "/restatements?since=2026-01-01",
)
"""Pages of a record in which more happens than in the sandbox."""


def _paths(symbol: str) -> Iterator[str]:
    """Yield the paths of all pages, of one company and of the first run, and some that are refused or in the past."""
    for route in ROUTES:
        if not _NO_PAGE.fullmatch(route.path):
            yield re.sub(r"\{.*?\}", "1", route.path.replace("{symbol}", symbol))
    yield from (
        f"/compare?symbol={symbol}",
        "/changes?since=2026-01-01",
        "/companies/NOPE",
        "/as-of/2026-03-15/companies",
    )


def _visit(url: str, paths: Iterable[tuple[str, list[tuple[int, str]]]]) -> list[str]:
    """Return what is wrong with pages, each in some widths and colour schemes."""
    problems: list[str] = []
    with browser() as chromium, window(chromium, url) as page:
        for path, appearances in paths:
            page.goto(path)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                if (wider := overflow(page)) > 0:
                    problems.append(f"{path} at {width} pixels is {wider} pixels too wide")
            shorten(page)
            for number, (width, scheme) in enumerate(appearances):
                _appear(page, width, scheme)
                # Only contrast, and what scrolls, differ from one appearance to another.
                rules = () if number == 0 else ("color-contrast", "scrollable-region-focusable")
                problems += [f"{path} at {width} pixels, {scheme}: {one}" for one in shortcomings(page, *rules)]
    return problems


def _appear(page: "Page", width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]


def _in_turn(paths: Iterable[str]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield each path with one appearance: on a phone or on a desk. `make browser` looks at all of them."""
    return ((path, [one]) for path, one in zip(paths, cycle([(360, "dark"), (1440, "light")]), strict=False))


@needs_browser
def test_pages_of_an_eventful_record_are_accessible_and_fit(eventful_url: str) -> None:
    assert _visit(eventful_url, _in_turn(_EVENTFUL)) == []


@needs_browser
@pytest.mark.parametrize("width", [1280, 1440])
def test_the_table_of_companies_fits_on_a_laptop(sandbox_url: str, width: int) -> None:
    with browser() as chromium, window(chromium, sandbox_url, width=width) as page:
        page.goto("/companies")
        assert (
            page.evaluate(
                "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('.scroll'))"
            )
            == 0
        )


@needs_browser
def test_every_page_is_accessible_at_all_widths_in_light_and_dark(
    sandbox_url: str, eventful_url: str, collected: Collected
) -> None:
    appearances = list(product(WIDTHS, SCHEMES))
    assert _visit(sandbox_url, ((path, appearances) for path in _paths(collected.names[0]))) == []
    assert _visit(eventful_url, ((path, appearances) for path in _EVENTFUL)) == []


@needs_browser
def test_pages_work_without_scripts_and_from_the_keyboard(eventful_url: str) -> None:
    with browser() as chromium, window(chromium, eventful_url, width=360, scripts=False) as page:
        page.goto("/companies")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the link that skips the header
        assert page.url.endswith("#content")

        page.goto("/companies")
        page.get_by_label("As of the end of").fill("2026-03-14")
        page.keyboard.press("Enter")
        page.wait_for_url("**/as-of/2026-03-14/companies")
        assert "14 March 2026" in page.get_by_role("region", name="Point in time").inner_text()

        page.get_by_label("Symbol or name").fill("acme")
        page.keyboard.press("Enter")
        page.wait_for_url("**/as-of/2026-03-14/companies?*q=acme*")
        assert page.locator("tbody tr").count() == 1

        page.goto("/companies?sort=symbol")
        first = page.locator("tbody a.symbol").first.inner_text()
        page.get_by_role("link", name="Next").press("Enter")
        page.wait_for_url("**after=*")
        assert page.locator("tbody a.symbol").first.inner_text() > first

        page.goto("/companies/ACME/chart")
        assert page.get_by_role("img", name="P/E").is_visible()
        page.locator("summary", has_text="Fields and dates").press("Enter")
        page.get_by_label("EPS", exact=True).press("Space")
        page.get_by_role("button", name="Draw").press("Enter")
        page.wait_for_url("**field=eps*")
        assert page.get_by_role("img", name="EPS").is_visible()


@needs_browser
def test_charts_zoom_and_show_values_where_scripts_run(eventful_url: str) -> None:
    with browser() as chromium, window(chromium, eventful_url) as page:
        page.goto("/companies/ACME/chart?field=pe_ratio")
        figure = page.locator("figure.chart")
        height = figure.bounding_box()
        held: list[Route] = []
        page.route("**/chart.json*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        figure.hover()
        page.get_by_text("Loading the chart").wait_for()
        page.wait_for_function("() => 'vegaEmbed' in window")
        held[0].continue_()
        drawing = page.locator(".drawn .drawing")
        drawing.wait_for()
        assert page.get_by_text("Loading the chart").count() == 0
        assert not page.locator("svg.lines").is_visible()
        place = drawing.bounding_box()
        assert place is not None
        assert height is not None
        after = figure.bounding_box()
        assert after is not None
        assert abs(after["height"] - height["height"]) < 12  # the page does not jump

        page.mouse.move(place["x"] + place["width"] * 0.4, place["y"] + 60)
        page.mouse.move(place["x"] + place["width"] * 0.5, place["y"] + 60)
        tooltip = page.locator("#vg-tooltip-element")
        tooltip.wait_for(state="visible")
        assert re.search(r"value\s+(28|29|30)\.\d+", tooltip.inner_text())
        assert "alert" not in tooltip.inner_html() or page.locator("b", has_text="Sons").count() == 0

        dates = drawing.inner_text()
        page.keyboard.down("Control")
        page.mouse.wheel(0, -400)
        page.keyboard.up("Control")
        page.wait_for_function("before => document.querySelector('.drawing').innerText !== before", arg=dates)

        light = drawing.locator("svg").inner_html()
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("light => document.querySelector('.drawing svg').innerHTML !== light", arg=light)

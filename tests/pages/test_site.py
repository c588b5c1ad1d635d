"""The site as a whole: each link leads to a page, a past page to past ones; none holds what a policy forbids."""

import html
import re
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.pages.test_runs import FIRST, LISTED, SCOPE, SECOND
from tests.support.html import Page, check_policy
from tests.support.observations import after, database_of, seen, uncovered
from tests.support.renames import rename
from tests.support.site import SiteClient, served
from tests.support.timeline import Renamed, write_steps

PAST = f"/as-of/{after(105).isoformat().replace('+00:00', 'Z')}"
_OF_A_KIND = 4
_MOST = 130
_SECTIONS = ("/", "/companies", "/changes", "/compare", "/runs", "/status", "/fields", "/restatements")


@pytest.fixture(scope="module")
def record() -> Path:
    """Return a record with all that pages have to say: runs, moves, restatements, a rename, a company that is gone."""
    database = database_of(
        [
            seen(0, "FB", Name="Facebook", EPS="1", PERatio="20"),
            seen(60, "META", Name="Meta <Platforms>", EPS="2", PERatio="21", OfficialSite="https://meta.com", New="x"),
            seen(1, "GONE", Name="Gone"),
            uncovered(70, "GONE"),
        ]
    )
    write_steps(database, [LISTED, FIRST, SECOND, Renamed((rename("FB", "META"),))])
    return database


@pytest.fixture
async def site(record: Path) -> AsyncIterator[SiteClient]:
    async with served(record, scope=SCOPE, now=lambda: after(120)) as client:
        yield client


def _own(page: Page, prefix: str) -> list[str]:
    """Return the links of a page to other pages of the site, without those that lead to another instant."""
    steps = [link for found in page.root.all("span", class_="steps") for link in found.all("a")]
    elsewhere = {one.attributes["href"] for one in [*steps, *page.root.all("a", class_="back")]}
    elsewhere |= {one for one in page.links if one.startswith("/as-of/") and not one.startswith(f"{prefix or '/-'}/")}
    programs = ("/static/", "/go", f"{prefix}/find", f"{prefix}/api/", f"{prefix}/changes.atom", f"{prefix}/query")
    return [one for one in page.links if one.startswith("/") and one not in elsewhere and not one.startswith(programs)]


def _kind(address: str) -> str:
    """Return what pages of one kind have in common: their path, without symbols and numbers."""
    parts = address.partition("?")[0].split("/")
    return "/".join("*" if part.isupper() or part.isdecimal() else part for part in parts)


@pytest.mark.parametrize("prefix", ["", PAST])
async def test_each_link_leads_to_a_page_about_the_same_instant(site: SiteClient, prefix: str) -> None:
    waiting = [f"{prefix}{section}" for section in _SECTIONS]
    visited: set[str] = set()
    kinds: Counter[str] = Counter()
    while waiting and len(visited) < _MOST:
        address = waiting.pop(0).partition("#")[0]
        if address in visited:
            continue
        visited.add(address)
        got = await site.get(address)
        assert got.status == 200, (address, got.text[:2000])
        assert got.headers["Content-Type"] == "text/html; charset=utf-8", address
        page = Page.read(got.text)
        check_policy(page)
        links = _own(page, prefix)
        assert all(one.startswith(f"{prefix}/") for one in links), (address, links)
        for one in links:
            if kinds[_kind(one)] < _OF_A_KIND and one not in waiting and one not in visited:
                kinds[_kind(one)] += 1
                waiting.append(one)
    assert {f"{prefix}{section}" for section in _SECTIONS} <= visited
    assert any("/vintages" in one for one in visited)
    assert any("/runs/2" in one for one in visited)


async def test_headings_are_in_order_and_each_page_has_one_title_and_the_landmarks(site: SiteClient) -> None:
    for path in (*_SECTIONS, "/companies/META", "/companies/GONE", "/runs/2", "/nothing", "/companies/NONE"):
        page = Page.read((await site.get(path)).text)
        levels = [int(one.name[1]) for one in page.elements if one.name in ("h1", "h2", "h3", "h4")]
        assert levels.count(1) == 1, path
        assert levels[0] == 1, path
        assert all(later - one <= 1 for one, later in pairwise(levels)), (path, levels)
        assert [len(page.root.all(name)) for name in ("main", "footer")] == [1, 1], path
        assert page.root.one("a", class_="skip").attributes["href"] == "#content"


async def test_each_control_has_a_label_and_each_table_a_caption_and_heads(site: SiteClient) -> None:
    for path in (*_SECTIONS, "/companies/META", "/runs/2"):
        page = Page.read((await site.get(path)).text)
        labelled = {one.attributes["for"] for one in page.root.all("label") if "for" in one.attributes}
        wrapped = [id(one) for label in page.root.all("label") for one in label.all("input")]
        for one in page.elements:
            if one.name in ("select", "textarea") or (one.name == "input" and one.attributes.get("type") != "hidden"):
                assert one.attributes.get("id") in labelled or id(one) in wrapped, (path, one)
        for table in page.root.all("table"):
            assert table.all("caption"), path
            assert all("scope" in head.attributes for head in table.all("th")), path


async def test_today_and_the_status_count_a_renamed_company_once(site: SiteClient) -> None:
    status = Page.read((await site.get("/status")).text).root.one("main").text
    assert "Companies5" in status
    assert "5 companies known" in Page.read((await site.get("/")).text).root.one("main").text


async def test_the_date_leads_from_every_page_to_one_that_answers(site: SiteClient) -> None:
    day, later = after(60).date(), after(84).date()
    asked = f"since={day}&until={later}"
    for path in (*_SECTIONS, f"/changes?{asked}", f"/restatements?{asked}", f"/compare?symbol=META&a={day}&b={later}",
                 f"/companies/META/document?version={day}", f"/companies/META/chart?since={later}"):  # fmt: skip
        page = Page.read((await site.get(f"/as-of/{later}{path}")).text)
        steps = [one.attributes["href"] for one in page.root.one("span", class_="steps").all("a")]
        assert len(steps) == 2, path
        here = page.root.one("form", class_="travel").one("input", type="hidden").attributes["value"]
        gone = await site.get(f"/go?{urlencode({'path': here, 'at': day})}")
        for address in (*steps, gone.headers["Location"], page.root.one("a", class_="back").attributes["href"]):
            got = await site.get(address)
            assert got.status == 200, (path, address)


async def test_no_step_leads_to_a_day_that_has_not_begun(site: SiteClient) -> None:
    page = Page.read((await site.get(f"/as-of/{after(120).date()}/runs")).text)
    steps = [one.attributes["href"] for one in page.root.one("span", class_="steps").all("a")]
    assert steps == [f"/as-of/{after(96).date()}/runs"]
    now = Page.read((await site.get("/runs")).text)
    assert now.root.one("input", id="at").attributes["max"] == after(120).date().isoformat()
    assert (await site.get(f"/go?path=/runs&at={after(144).date()}")).status == 400


REFUSED = {
    "/changes?min_change=lots": ("Invalid min_change 'lots'.", "5% or 0.05."),
    "/changes?until=2199-01-01": ("until '2199-01-01' is in the future", "now."),
    "/compare?symbol=META&b=2199-01-01": ("b '2199-01-01' is in the future", "now."),
    "/changes?since=2026-03-16&until=2026-03-15": ("since, 2026-03-16", "later until."),
    "/changes?since=1d&since=2d": ("since is given 2 times.", "Give it once."),
    "/changes?suspicious=perhaps": ("Invalid suspicious 'perhaps'.", "true or false."),
    "/changes?field=pe": ("Unknown field 'pe'.", "?", "Fields lists all."),
    "/companies?columns=qqqq": ("Unknown field 'qqqq'.", "Fields lists all."),
    "/companies/META/vintages?field=pe_ratio": ("pe_ratio is not reported by quarter", "page of changes"),
    "/status?x=1": ("Unknown parameter 'x'.", "This path takes none."),
}


async def test_refusals_are_sentences_with_parameters_as_typed_and_pages_for_commands(site: SiteClient) -> None:
    for path, words in REFUSED.items():
        got = await site.get(path)
        assert got.status == 400, path
        said = " ".join(one.text for one in Page.read(got.text).root.one("div", class_="refusal").all("p")[1:])
        assert not [word for word in words if word not in said], (path, said)
        assert "?." not in said, said
        assert "ipeline " not in said, said


async def test_the_page_of_changes_takes_what_its_feed_takes(site: SiteClient) -> None:
    feed = (await site.get("/changes.atom?universe=true&suspicious=true&min_change=5%25")).text
    links = {html.unescape(one) for one in re.findall(r'href="http://[^/"]*(/changes\?[^"]*)"', feed)}
    assert links
    for link in links:
        assert (await site.get(link)).status == 200, link

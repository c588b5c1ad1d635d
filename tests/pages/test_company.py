"""The page of a company: says of each field what the record says, since when, under which symbol; and runs nothing."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline import History
from pipeline.model.fields import CATALOGUE, COLUMNS, Kind, Part
from pipeline.pages.company import lead
from tests.support.html import Page, check_policy
from tests.support.observations import after, database_of, seen, uncovered
from tests.support.renames import configure, rename
from tests.support.site import SiteClient, served

DAY = 24
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"
NUMBERS = {
    field.name: str(number)
    for number, field in enumerate(CATALOGUE, 3)
    if field.kind in (Kind.INTEGER, Kind.REAL)
}  # fmt: skip


@pytest.fixture(scope="module")
def record() -> Path:
    """Return a record of a company whose every number is there, of one that is gone, and of a hostile one."""
    profile = {"Name": "International Business Machines", "Sector": "TECHNOLOGY", "OfficialSite": "https://www.ibm.com"}
    texts = {field.name: HOSTILE for field in CATALOGUE if field.kind is Kind.TEXT and field.column != "symbol"}
    return database_of(
        [
            seen(0, "IBM", **profile, **NUMBERS, LatestQuarter="2025-09-30"),
            seen(DAY, "IBM", **profile, **{**NUMBERS, "PERatio": "28.5"}, LatestQuarter="2025-12-31"),
            seen(
                2 * DAY, "IBM", **profile, **{**NUMBERS, "PERatio": "28.5", "Beta": "None"}, LatestQuarter="2025-12-31"
            ),
            seen(
                3 * DAY, "IBM", **profile, **{**NUMBERS, "PERatio": "28.5", "Beta": "None"}, LatestQuarter="2025-12-31"
            ),
            seen(0, "GONE", Name="Gone Corp"),
            uncovered(DAY, "GONE"),
            seen(0, "EVIL", **{**texts, "Exchange": "<script>x</script>", HOSTILE: HOSTILE, "PERatio": HOSTILE}),
            seen(DAY, "EVIL", **texts, **{HOSTILE: "another", "PERatio": "7"}),
        ]
    )


@pytest.fixture
async def site(record: Path) -> AsyncIterator[SiteClient]:
    async with served(record) as client:
        yield client


async def _page(site: SiteClient, path: str, status: int = 200) -> Page:
    got = await site.get(path)
    assert got.status == status, got.text
    page = Page.read(got.text)
    check_policy(page)
    return page


def _row(page: Page, column: str) -> tuple[str, str, str]:
    """Return of a field the exact value, and since when and after what it holds it, as the page says."""
    (row,) = [
        one
        for one in page.root.all("tr")
        if any(
            named.attributes.get("title") == COLUMNS[column].description
            for head in one.all("th")
            for named in head.all("a") + head.all("span")
        )
    ]
    *_, value, _line, since = [one for one in row.children if not isinstance(one, str)]
    times = since.all("time")
    exact = next(
        (one.attributes.get("value", one.attributes.get("datetime")) for one in value.all("data") + value.all("time")),
        "",
    )
    return str(exact), times[0].attributes["datetime"] if times else "", times[0].attributes["title"] if times else ""


async def test_each_number_and_date_is_that_of_the_record(site: SiteClient, record: Path) -> None:
    page = await _page(site, "/companies/IBM")
    fields = [field for field in CATALOGUE if field.part is not Part.PROFILE]
    with History.open(record) as history:
        (snapshot,) = history.as_of("now", ["IBM"], fields)
    for field in fields:
        value = snapshot[field.column]
        exact, *_ = _row(page, field.column)
        if value is None:
            assert exact == "", field
        elif field.kind is Kind.DATE:
            assert date.fromisoformat(exact) == date.fromisoformat(str(value))
        else:
            assert float(exact) == value, field


async def test_a_value_says_since_when_and_after_what(site: SiteClient) -> None:
    page = await _page(site, "/companies/IBM")
    exact, since, was = _row(page, "pe_ratio")
    assert (exact, datetime.fromisoformat(since)) == ("28.5", after(DAY))
    assert was.endswith(f"before that {float(NUMBERS['PERatio']):.1f}")
    assert datetime.fromisoformat(_row(page, "beta")[1]) == after(2 * DAY)
    assert datetime.fromisoformat(_row(page, "eps")[1]) == after(0)


async def test_the_past_does_not_know_what_came_later(site: SiteClient) -> None:
    at = after(1).isoformat().replace("+00:00", "Z")
    page = await _page(site, f"/as-of/{at}/companies/IBM")
    assert _row(page, "pe_ratio")[0] == NUMBERS["PERatio"]
    assert _row(page, "latest_quarter")[0] == "2025-09-30"
    versions = page.root.all("table")[-1]
    assert len(versions.one("tbody").all("tr")) == 1
    links = [one for one in page.links if one.startswith("/") and not one.startswith(("/static/", "/go", "/as-of/"))]
    assert links == ["/companies/IBM"]  # back to now


async def test_a_symbol_is_found_in_any_case_and_an_unknown_one_has_suggestions(site: SiteClient) -> None:
    assert (await _page(site, "/companies/ibm")).root.one("h1").text == "International Business Machines"
    page = await _page(site, "/companies/IBN", 404)
    assert "/companies/IBM" in page.links
    await _page(site, "/companies/%3Cscript%3E", 404)


async def test_a_company_that_is_not_covered_any_more_says_so(site: SiteClient) -> None:
    page = await _page(site, "/companies/GONE")
    assert "Not covered" in page.root.one("p", class_="bad").text
    assert not (await _page(site, "/companies/IBM")).root.all("p", class_="bad")
    at = after(1).isoformat().replace("+00:00", "Z")
    assert not (await _page(site, f"/as-of/{at}/companies/GONE")).root.all("p", class_="bad")


@pytest.mark.parametrize(
    "path",
    [
        "/companies/EVIL",
        "/companies",
        "/companies?columns=exchange,address,description,cik",
        "/as-of/2026-04-01/companies/EVIL",
        "/status",
        "/companies/EVIL/document",
        "/changes?since=2026-01-01",
        f"/companies?q={quote(HOSTILE)}",
    ],
)
async def test_texts_from_outside_are_shown_and_never_run(site: SiteClient, path: str) -> None:
    page = await _page(site, path)
    assert not [one for one in page.elements if one.name in ("script", "img") and "src" not in one.attributes]
    assert not page.root.all("img", src="x")
    assert any(
        "<script>alert(1)</script>" in text for one in page.elements for text in one.children if isinstance(text, str)
    )
    assert "49" not in page.root.one("title").text.partition(" \N{MIDDLE DOT} ")[0]  # what follows has digits, too


async def test_a_website_is_a_link_that_tells_nothing(site: SiteClient) -> None:
    (link,) = [one for one in (await _page(site, "/companies/IBM")).root.all("a") if one.text == "ibm.com"]
    assert link.attributes["href"] == "https://www.ibm.com"
    assert {"noopener", "noreferrer", "nofollow"} <= set(link.attributes["rel"].split())


@pytest.fixture(scope="module")
def renamed() -> Path:
    database = database_of([seen(0, "FB", Name="Facebook", PERatio="20"), seen(DAY, "META", Name="Meta", PERatio="21")])
    configure(database, rename("FB", "META"))
    return database


async def test_a_renamed_company_has_both_names_under_either(renamed: Path) -> None:
    async with served(renamed) as site:
        for symbol in ("FB", "META"):
            page = await _page(site, f"/companies/{symbol}")
            assert page.root.one("h1").text == "Meta"
            ticker = page.root.one("p", class_="ticker").text
            assert "META" in ticker
            assert "formerly FB" in ticker
            assert _row(page, "pe_ratio")[2].endswith("before that 20.0")


async def test_the_title_of_a_page_names_the_instant(site: SiteClient) -> None:
    at = after(0).date().isoformat()
    page = await _page(site, f"/as-of/{at}/companies/IBM")
    assert "as known at the end of" in page.root.one("title").text
    assert "As known at the end of" in page.root.one("span", class_="as-known").text


@pytest.mark.parametrize(
    ("description", "head"),
    [
        ("Short.", "Short."),
        ("One sentence. " + "Another that is long " * 30, "One sentence."),
        ("No end at all " * 40, ("No end at all " * 40)[:317].rstrip() + "..."),
    ],
)
def test_the_head_of_a_page_has_the_first_sentences(description: str, head: str) -> None:
    assert lead(description) == head


@pytest.fixture(scope="module")
def long_ago() -> Path:
    return database_of([seen(0, "IBM", EPS="1", Beta="2"), seen(400 * DAY, "IBM", EPS="1", Beta="3")])


async def test_a_value_that_did_not_change_for_a_year_says_so(site: SiteClient, long_ago: Path) -> None:
    async with served(long_ago, now=lambda: after(500 * DAY)) as old:
        page = await _page(old, "/companies/IBM")
    assert "over a year" in page.root.one("main").text
    assert _row(page, "beta")[2].endswith("before that 2.00")
    shorter = (await _page(site, "/companies/IBM")).root.one("main").text
    assert "all along" in shorter
    assert "over a year" not in shorter


async def test_a_renamed_company_is_listed_with_its_old_symbol_and_found_by_it(renamed: Path) -> None:
    async with served(renamed) as site:
        for path in ("/companies", "/companies?q=fb", "/companies?q=met"):
            (row,) = (await _page(site, path)).root.one("tbody").all("tr")
            assert row.one("th").text == "META (was FB) Meta"
        assert (await site.get("/find?q=fb")).headers["Location"] == "/companies/META"
